ALTER TABLE shop.customers DROP name;
INSERT INTO shop.customers (id, email, first_name) VALUES (21, 'late@example.com', 'late');
