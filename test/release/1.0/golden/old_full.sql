-- options: old=full
-- The whole former row for every UPDATE under REPLICA IDENTITY FULL.
CREATE TABLE t (id integer PRIMARY KEY, a text, b integer, c text);
ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (1, 'one', 1, NULL);
UPDATE t SET b = 2;
UPDATE t SET a = NULL, c = 'c';
UPDATE t SET id = 2;
UPDATE t SET id = id;
DELETE FROM t;
CREATE TABLE u (id integer PRIMARY KEY, a text, b integer);
INSERT INTO u VALUES (1, 'one', 1);
UPDATE u SET b = 2;
DELETE FROM u;
