CREATE TABLE shop.customers (id int PRIMARY KEY, name text NOT NULL, email shop.email, note text);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES shop.customers, total numeric(8,2), state shop.state NOT NULL DEFAULT 'new');
SELECT cdc.register('shop.customers', 'full', 'file', 'read by billing') \g /dev/null
SELECT cdc.register('shop.orders', 'full', 'file', 'read by billing') \g /dev/null
INSERT INTO shop.customers SELECT n, 'customer ' || n, 'c' || n || '@example.com' FROM generate_series(1, 20) n;
INSERT INTO shop.orders SELECT n, n % 20 + 1, n * 1.25 FROM generate_series(1, 60) n;
