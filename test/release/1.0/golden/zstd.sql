-- options: compression=zstd
-- Batches in batches, and small ones as they are.
CREATE TABLE t (id integer PRIMARY KEY, v text);
INSERT INTO t VALUES (0, 'small');
INSERT INTO t SELECT n, 'row ' || n || ', which says the same as all others' FROM generate_series(1, 80) n;
BEGIN;
UPDATE t SET v = v || '!' WHERE id < 30;
DELETE FROM t WHERE id > 40;
COMMIT;
TRUNCATE t;
