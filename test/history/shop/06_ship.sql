UPDATE shop.orders SET state = 'shipped' WHERE id <= 10;
ALTER TABLE shop.orders ADD shipped_at timestamptz;
UPDATE shop.orders SET shipped_at = created_at + interval '3 days' WHERE state = 'shipped';
