-- Another key: rows are found by it.
ALTER TABLE shop.items ADD order_id int NOT NULL DEFAULT 1;
ALTER TABLE shop.items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (order_id, id);
UPDATE shop.items SET order_id = id % 50 + 1 WHERE id < 1000;
