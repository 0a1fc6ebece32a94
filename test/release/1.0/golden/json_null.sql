-- NULL and the null of JSON, in columns, arrays and domains, in every place of an event.
CREATE DOMAIN document AS jsonb;
CREATE TABLE d (id int PRIMARY KEY, j json, b jsonb, c document, ja json[], ba jsonb[], t text, i int);
ALTER TABLE d REPLICA IDENTITY FULL;
INSERT INTO d VALUES (1, 'null', 'null', 'null', '{"null",NULL}', '{NULL,NULL}', 'null', NULL);
INSERT INTO d VALUES (2, NULL, NULL, NULL, '{1," null ","{\"a\": null}"}', '[2:3]={"null",NULL}', NULL, 0);
INSERT INTO d VALUES (3, E' null\n', '{"a": null}', '[null]', '{{"\"null\"","true"},{NULL,"[null]"}}', '{{"null"},{"\"x y\""}}', 'x', 1);
UPDATE d SET j = NULL, b = NULL, c = NULL, ja = NULL, ba = NULL, t = NULL, i = NULL WHERE id = 3;
UPDATE d SET j = 'null', b = 'null', ja = '{"null"}', t = 'null' WHERE id = 3;
UPDATE d SET j = NULL, c = 'null' WHERE id = 3;
UPDATE d SET b = NULL, i = 5 WHERE id = 1;
DELETE FROM d WHERE id = 1;
ALTER TABLE d REPLICA IDENTITY DEFAULT;
UPDATE d SET t = 'x' WHERE id = 3;
UPDATE d SET t = NULL WHERE id = 2;
