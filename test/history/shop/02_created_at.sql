ALTER TABLE shop.orders ADD created_at timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00';
UPDATE shop.orders SET created_at = '2026-02-03 04:05:06+00' WHERE id % 7 = 0;
