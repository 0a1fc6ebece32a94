-- options: schemas=batch batch_bytes=200
-- Every batch has the source and all the schemas that it needs.
CREATE TABLE t (id integer PRIMARY KEY, v text);
CREATE TABLE u (id integer PRIMARY KEY);
INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 12) n;
BEGIN;
INSERT INTO u VALUES (1);
INSERT INTO t VALUES (13, 'thirteen');
COMMIT;
