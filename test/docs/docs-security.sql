-- The table of the document.
CREATE EXTENSION cdc;
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, email text, card text, city text, user_password text);
