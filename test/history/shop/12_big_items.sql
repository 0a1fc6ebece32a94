ALTER TABLE shop.items ALTER id TYPE bigint;
INSERT INTO shop.items VALUES (3000000000, 'big', 1, 1, '{}');
