ALTER TABLE shop.orders ALTER total TYPE numeric(12,2);
INSERT INTO shop.orders (id, customer, total) VALUES (61, 1, 123456789.25);
