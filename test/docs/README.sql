-- What README.md speaks of beside its own table.
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE public.users (id bigint PRIMARY KEY, email text, profile jsonb);
