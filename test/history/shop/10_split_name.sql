-- In one transaction with the change of its data.
ALTER TABLE shop.customers ADD first_name text, ADD last_name text;
UPDATE shop.customers SET first_name = split_part(name, ' ', 1), last_name = split_part(name, ' ', 2);
