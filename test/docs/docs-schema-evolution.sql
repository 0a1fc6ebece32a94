-- A table, its reader, and a database with the migrations.
CREATE EXTENSION cdc;
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric(12,2));
SELECT lsn FROM cdc.create_slot('billing');
CREATE DATABASE migrated;
\c migrated
CREATE EXTENSION cdc;
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric(12,2));
ALTER TABLE orders ADD note text;
ALTER TABLE orders DROP total;
