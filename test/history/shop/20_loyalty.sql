ALTER TABLE shop.customers ADD loyalty int NOT NULL DEFAULT 0;
ALTER TABLE shop.orders ADD FOREIGN KEY (customer) REFERENCES shop.customers;
UPDATE shop.customers SET loyalty = id;
INSERT INTO shop.customers (id, email) VALUES (22, 'new@example.com');
