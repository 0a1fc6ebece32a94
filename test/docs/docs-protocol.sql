-- A table to read.
CREATE EXTENSION cdc;
CREATE TABLE orders (id int PRIMARY KEY, customer text);
INSERT INTO orders VALUES (1, 'ada');
