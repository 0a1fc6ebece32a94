-- Partitioned tables under their roots' names: other column orders, dropped
-- columns, levels, rows that move, DDL on the root.
CREATE TABLE root (id int, kind text, v text, n numeric, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
CREATE TABLE root_a PARTITION OF root FOR VALUES IN ('a');
-- other attnums than the root's
CREATE TABLE root_b (gone int, v text, kind text NOT NULL, also_gone text, n numeric, id int NOT NULL);
ALTER TABLE root_b DROP COLUMN gone, DROP COLUMN also_gone;
ALTER TABLE root ATTACH PARTITION root_b FOR VALUES IN ('b');
-- two levels, of which the middle one has another order, too
CREATE TABLE root_c (n numeric, id int NOT NULL, kind text NOT NULL, v text) PARTITION BY RANGE (id);
ALTER TABLE root ATTACH PARTITION root_c FOR VALUES IN ('c', 'd');
CREATE TABLE root_c1 PARTITION OF root_c FOR VALUES FROM (0) TO (100);
CREATE TABLE root_c2 (v text, id int NOT NULL, n numeric, kind text NOT NULL);
ALTER TABLE root_c ATTACH PARTITION root_c2 FOR VALUES FROM (100) TO (100000);
CREATE TABLE whole (x int, y text) PARTITION BY HASH (x);
CREATE TABLE whole_0 PARTITION OF whole FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE whole_1 (y text, x int);
ALTER TABLE whole_1 REPLICA IDENTITY FULL;
ALTER TABLE whole_0 REPLICA IDENTITY FULL;
-- rows have the identities of their partitions: other than the root's, they would come under
-- another schema than it was said to have
ALTER TABLE whole REPLICA IDENTITY FULL;
ALTER TABLE whole ATTACH PARTITION whole_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE PUBLICATION viaroot FOR TABLE root, whole WITH (publish_via_partition_root = true);

INSERT INTO root SELECT g, chr(97 + g % 4), 'v' || g, g * 1.5 FROM generate_series(1, 400) g;
INSERT INTO whole SELECT g, NULLIF(g % 5, 0)::text FROM generate_series(1, 100) g;
UPDATE root SET v = NULL WHERE id % 7 = 0;
UPDATE root SET n = n + 1, v = v || '!' WHERE kind IN ('b', 'c') AND id % 3 = 0;
-- rows that move from partition to partition, and key changes within one
UPDATE root SET kind = 'b' WHERE id % 11 = 0;
UPDATE root SET kind = 'd', id = id + 1000 WHERE id % 13 = 0;
UPDATE root_a SET id = id + 2000 WHERE id % 10 = 0;
DELETE FROM root WHERE id % 17 = 0;
UPDATE whole SET x = x + 1000 WHERE x % 4 = 0;
UPDATE whole SET y = 'y' WHERE y IS NULL;
DELETE FROM whole WHERE x % 9 = 0;
-- large values that are not touched, in partitions with other attnums
ALTER TABLE root_b ALTER v SET STORAGE EXTERNAL;
UPDATE root SET v = repeat(id::text, 2000) WHERE kind = 'b' AND id % 5 = 0;
UPDATE root SET n = -n WHERE kind = 'b';
UPDATE root SET kind = 'a' WHERE kind = 'b' AND id % 10 = 0;

-- DDL on the root; a partition that comes later, with columns of its own order
ALTER TABLE root ADD added int DEFAULT 7;
UPDATE root SET added = id WHERE id % 6 = 0;
ALTER TABLE root DROP COLUMN n;
INSERT INTO root SELECT g, 'a', 'late', g FROM generate_series(5000, 5050) g;
CREATE TABLE root_e (added int, v text, x int, id int NOT NULL, kind text NOT NULL);
ALTER TABLE root_e DROP COLUMN x;
INSERT INTO root_e (id, kind, v) VALUES (1, 'e', 'before it is attached');
DELETE FROM root_e;
ALTER TABLE root ATTACH PARTITION root_e FOR VALUES IN ('e');
UPDATE root SET kind = 'e' WHERE id BETWEEN 5000 AND 5020;
INSERT INTO root VALUES (6000, 'e', 'direct', NULL);
ALTER TABLE root ALTER added TYPE bigint;
UPDATE root SET added = 5000000000 WHERE id = 6000;

-- changes on all levels, at random; what violates a key or leaves its partition
-- is rolled back
SELECT setseed(0.25);
DO $$
DECLARE
  k text;
  n int;
BEGIN
  FOR i IN 1..600 LOOP
    k := chr(97 + floor(random() * 5)::int);
    n := floor(random() * 400);
    BEGIN
      CASE floor(random() * 10)::int
        WHEN 0, 1 THEN INSERT INTO root SELECT g, k, 'random', g FROM generate_series(n, n + 9) g ON CONFLICT DO NOTHING;
        WHEN 2 THEN UPDATE root SET kind = k WHERE id BETWEEN n AND n + 5;
        WHEN 3 THEN UPDATE root_c SET id = id + 50, added = NULL WHERE id BETWEEN n AND n + 20;
        WHEN 4 THEN UPDATE root_c SET kind = CASE kind WHEN 'c' THEN 'd' ELSE 'c' END, v = v || '.' WHERE id BETWEEN n AND n + 9;
        WHEN 5 THEN UPDATE root_c2 SET v = repeat(md5(n::text), 100), id = id - 60 WHERE id BETWEEN n AND n + 20;
        WHEN 6 THEN DELETE FROM root WHERE kind = k AND id BETWEEN n AND n + 9;
        WHEN 7 THEN UPDATE root_b SET id = id + 1, added = -id WHERE id = n;
        WHEN 8 THEN INSERT INTO root_e (kind, id, v, added) VALUES ('e', n, NULL, n);
        ELSE UPDATE root SET added = added + 1 WHERE id % 50 = n % 50;
      END CASE;
    EXCEPTION WHEN unique_violation OR check_violation THEN NULL;
    END;
    IF i % 7 = 0 THEN COMMIT; END IF;
  END LOOP;
END $$;

BEGIN;
TRUNCATE whole;
INSERT INTO whole SELECT g, 'again' FROM generate_series(1, 50) g;
SAVEPOINT s;
UPDATE whole SET y = 'gone';
ROLLBACK TO s;
UPDATE whole SET y = 'stays' WHERE x < 10;
COMMIT;
-- a detached partition is no longer the root's; its rows went before
DELETE FROM root WHERE kind = 'a';
ALTER TABLE root DETACH PARTITION root_a;
INSERT INTO root_a (id, kind) VALUES (1, 'a');
