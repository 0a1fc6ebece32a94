CREATE TABLE shop.items (id int PRIMARY KEY, article text NOT NULL, quantity int NOT NULL, price numeric(8,2), tags text[]);
SELECT cdc.register('shop.items', 'backward', 'wire') \g /dev/null
INSERT INTO shop.items SELECT n, 'article ' || n % 9, n % 5 + 1, n / 4.0, ARRAY['a', NULL, 'tag ' || n] FROM generate_series(1, 80) n;
