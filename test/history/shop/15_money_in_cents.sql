ALTER TABLE shop.orders ALTER total TYPE bigint USING (total * 100)::bigint;
INSERT INTO shop.orders (id, customer, total) VALUES (62, 2, 995);
