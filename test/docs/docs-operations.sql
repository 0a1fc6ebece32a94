-- A shop whose stream is in operation, and a restored copy of its database.
CREATE ROLE shop LOGIN;
CREATE DATABASE shop;
CREATE DATABASE restored;
CREATE EXTENSION cdc;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, email text);
SELECT lsn FROM cdc.create_slot('shop');
INSERT INTO shop.orders VALUES (1, 'ada@example.org');
SELECT cdc.redact('shop.orders', 'email', 'hash') > 0 AS redacted;
SELECT cdc.register('shop.orders');
\c shop
CREATE EXTENSION cdc;
CREATE TABLE orders (id int PRIMARY KEY, email text);
SELECT cdc.redact('orders', 'email', 'hash') > 0 AS redacted;
SELECT cdc.grant_read('orders', 'shop');
\c restored
CREATE EXTENSION cdc;
CREATE TABLE orders (id int PRIMARY KEY, email text);
SELECT cdc.redact('orders', 'email', 'hash') > 0 AS redacted;
SELECT cdc.grant_read('orders', 'shop');
