CREATE INDEX ON shop.orders (created_at);
CREATE VIEW shop.open_orders AS SELECT id, customer FROM shop.orders WHERE state = 'new';
UPDATE shop.orders SET state = 'paid' WHERE id <= 20;
