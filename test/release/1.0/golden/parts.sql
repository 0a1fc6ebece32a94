-- options: batch_bytes=300
-- Transactions in several parts.
CREATE TABLE t (id integer PRIMARY KEY, v text);
CREATE TABLE u (id integer PRIMARY KEY, v text);
INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 40) n;
BEGIN;
INSERT INTO t VALUES (41, repeat('x', 400));
INSERT INTO u VALUES (1, 'small');
UPDATE t SET v = 'updated' WHERE id <= 5;
SAVEPOINT s;
DELETE FROM t WHERE id > 10;
ROLLBACK TO s;
DELETE FROM t WHERE id > 35;
TRUNCATE u;
COMMIT;
INSERT INTO u VALUES (2, 'one part');
