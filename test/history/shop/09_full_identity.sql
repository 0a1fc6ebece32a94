ALTER TABLE shop.orders REPLICA IDENTITY FULL;
UPDATE shop.orders SET total = total + 1 WHERE id BETWEEN 30 AND 35;
DELETE FROM shop.orders WHERE id = 60;
