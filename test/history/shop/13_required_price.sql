UPDATE shop.items SET price = 0 WHERE price IS NULL;
ALTER TABLE shop.items ALTER price SET NOT NULL;
