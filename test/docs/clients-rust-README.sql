-- The table of the first steps, and the role of a consumer.
CREATE EXTENSION cdc;
CREATE TABLE orders (id int PRIMARY KEY, customer text);
CREATE ROLE shop LOGIN;
