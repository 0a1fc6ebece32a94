ALTER TABLE shop.orders ADD CHECK (total >= 0), ALTER created_at SET DEFAULT now();
ALTER TABLE shop.items ADD weight float8 NOT NULL DEFAULT 0.5;
UPDATE shop.items SET weight = id / 7.0 WHERE id < 40;
