-- Shapes of transactions, statements and tables.
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE log (a int, b text);

-- subtransactions, some rolled back
BEGIN;
INSERT INTO t VALUES (1, 'kept');
SAVEPOINT a;
INSERT INTO t VALUES (2, 'gone');
SAVEPOINT b;
UPDATE t SET v = 'gone';
ROLLBACK TO a;
INSERT INTO t VALUES (3, 'kept');
SAVEPOINT c;
UPDATE t SET v = v || '!' WHERE id = 1;
RELEASE c;
SAVEPOINT d;
ALTER TABLE t ADD COLUMN gone int DEFAULT 1;
UPDATE t SET gone = 2;
ROLLBACK TO d;
UPDATE t SET v = v || '?';
COMMIT;
BEGIN; INSERT INTO t VALUES (4, 'gone'); ROLLBACK;
DO $$
BEGIN
  FOR i IN 10..60 LOOP
    BEGIN
      INSERT INTO t VALUES (i, 'sub');
      IF i % 3 = 0 THEN RAISE EXCEPTION 'undone'; END IF;
    EXCEPTION WHEN raise_exception THEN
      INSERT INTO t VALUES (-i, 'instead');
    END;
  END LOOP;
END $$;

-- COPY: many rows in one record; and ON CONFLICT
COPY t FROM stdin;
1000	copied
1001	\N
1002	
1003	tab\there
\.
COPY log (a) FROM PROGRAM 'seq 1 3000';
INSERT INTO t SELECT i, 'upsert' FROM generate_series(995, 1005) i
  ON CONFLICT (id) DO UPDATE SET v = t.v || '+';
INSERT INTO t VALUES (1000, 'no') ON CONFLICT DO NOTHING;
INSERT INTO t SELECT i, 'x' FROM generate_series(2000, 2010) i ON CONFLICT DO NOTHING;
MERGE INTO t USING (VALUES (2000, 'm'), (2001, 'd'), (3000, 'i')) s (id, v) ON t.id = s.id
  WHEN MATCHED AND s.v = 'd' THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v
  WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v);
WITH moved AS (DELETE FROM t WHERE id > 2005 RETURNING *) INSERT INTO log SELECT * FROM moved;

-- TRUNCATE: several, cascading, with rows before and after in the transaction
CREATE TABLE parent (id serial PRIMARY KEY, v text);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent);
CREATE TABLE beside (id int PRIMARY KEY);
INSERT INTO parent (v) VALUES ('a'), ('b');
INSERT INTO child VALUES (1, 1), (2, 2);
INSERT INTO beside VALUES (1), (2);
BEGIN;
INSERT INTO parent (v) VALUES ('gone');
TRUNCATE parent, beside RESTART IDENTITY CASCADE;
INSERT INTO parent (v) VALUES ('first again');
INSERT INTO child VALUES (3, 1);
SAVEPOINT s;
TRUNCATE child;
ROLLBACK TO s;
COMMIT;
BEGIN; INSERT INTO log VALUES (-1, 'stays'); TRUNCATE beside; INSERT INTO beside VALUES (9); COMMIT;

-- partitions: each row under its leaf; rows that move
CREATE TABLE measure (day date, city text, v int) PARTITION BY RANGE (day);
CREATE TABLE measure_1 PARTITION OF measure FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE measure_2 (v int, city text, gone int, day date);
ALTER TABLE measure_2 DROP COLUMN gone;
ALTER TABLE measure ATTACH PARTITION measure_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE measure_rest PARTITION OF measure DEFAULT PARTITION BY LIST (city);
CREATE TABLE measure_bonn PARTITION OF measure_rest FOR VALUES IN ('Bonn');
CREATE TABLE measure_other PARTITION OF measure_rest DEFAULT;
ALTER TABLE measure ADD PRIMARY KEY (day, city);
INSERT INTO measure SELECT date '2024-06-01' + 30 * i, CASE WHEN i % 2 = 0 THEN 'Bonn' ELSE 'Köln' END, i
  FROM generate_series(0, 30) i;
UPDATE measure SET v = v + 1 WHERE city = 'Bonn';
UPDATE measure SET day = day + 365;
ALTER TABLE measure ADD COLUMN note text DEFAULT 'none';
UPDATE measure SET note = city WHERE v > 20;
DELETE FROM measure WHERE v % 5 = 0;
ALTER TABLE measure DETACH PARTITION measure_1;
INSERT INTO measure_1 VALUES ('2030-01-01', 'anywhere', 1);
TRUNCATE measure_rest;
INSERT INTO measure VALUES ('2030-01-01', 'Bonn', 1), ('2030-01-01', 'Ulm', 1);

-- inheritance: a statement on the parent changes the child
CREATE TABLE animal (id int PRIMARY KEY, name text);
CREATE TABLE dog (bark text, PRIMARY KEY (id)) INHERITS (animal);
INSERT INTO animal VALUES (1, 'cat');
INSERT INTO dog VALUES (1, 'rex', 'wuff'), (2, 'ada', NULL);
UPDATE animal SET name = upper(name);
UPDATE ONLY animal SET name = name || '!';
DELETE FROM animal WHERE id = 2;
ALTER TABLE animal ADD COLUMN legs int DEFAULT 4;
UPDATE animal SET legs = 3 WHERE id = 1;
TRUNCATE ONLY animal;
INSERT INTO animal VALUES (5, 'owl', 2);

-- what is never sent
CREATE MATERIALIZED VIEW summary AS SELECT id % 7 AS k, count(*) FROM t GROUP BY 1;
CREATE UNIQUE INDEX ON summary (k);
INSERT INTO t VALUES (5000, 'seen by the view');
REFRESH MATERIALIZED VIEW summary;
REFRESH MATERIALIZED VIEW CONCURRENTLY summary;
CREATE UNLOGGED TABLE fast (a int);
INSERT INTO fast VALUES (1);
CREATE TEMPORARY TABLE temporary_one (a int);
INSERT INTO temporary_one VALUES (1);
CREATE SEQUENCE numbers;
SELECT nextval('numbers');
CREATE TABLE made AS SELECT i AS a, i::text AS b FROM generate_series(1, 50) i;
SELECT * INTO made_too FROM made WHERE a < 5;

-- VACUUM FULL and CLUSTER write rows anew, and nothing of it is sent
VACUUM FULL t;
CLUSTER t USING t_pkey;
UPDATE t SET v = 'after cluster' WHERE id = 1;

-- large: several parts, with two tables, subtransactions and a TRUNCATE
BEGIN;
INSERT INTO log SELECT i, repeat('p', 50) FROM generate_series(1, 8000) i;
SAVEPOINT s;
INSERT INTO t SELECT i, 'gone' FROM generate_series(100000, 105000) i;
ROLLBACK TO s;
INSERT INTO t SELECT i, 'large' FROM generate_series(200000, 205000) i;
UPDATE t SET v = NULL WHERE id BETWEEN 202000 AND 203999;
DELETE FROM t WHERE id > 204500;
SELECT cdc.set_metadata('who', 'shapes'), cdc.set_metadata('ärger', 'nein'), cdc.set_metadata('a', 'b');
COMMIT;

-- two-phase commit: sent with COMMIT PREPARED, at its place
BEGIN;
INSERT INTO log VALUES (1, 'prepared');
UPDATE t SET v = 'prepared' WHERE id = 1;
PREPARE TRANSACTION 'replay one';
BEGIN;
INSERT INTO log VALUES (2, 'gone');
PREPARE TRANSACTION 'replay two';
INSERT INTO log VALUES (3, 'between');
COMMIT PREPARED 'replay one';
ROLLBACK PREPARED 'replay two';

-- names that need quotes
CREATE SCHEMA "Odd ""schema""";
CREATE TABLE "Odd ""schema"""."select * from" ("Id" int PRIMARY KEY, "a.b" text, "ü''" text, " " int);
INSERT INTO "Odd ""schema"""."select * from" VALUES (1, 'x', 'y', 1), (2, NULL, NULL, NULL);
UPDATE "Odd ""schema"""."select * from" SET "a.b" = 'z', " " = NULL WHERE "Id" = 1;

-- messages, in and out of transactions
SELECT pg_logical_emit_message(false, 'alone', 'ä');
BEGIN;
SELECT pg_logical_emit_message(true, 'within', decode('00ff', 'hex'));
SELECT pg_logical_emit_message(false, 'alone', 'before its transaction');
INSERT INTO log VALUES (1, 'between messages');
SELECT pg_logical_emit_message(true, 'within', '');
COMMIT;
SELECT pg_logical_emit_message(true, 'nothing else', 'x');

-- TRUNCATE of a table of which nothing is stored: it gets no transaction id, and its record has none
CREATE TABLE stem (id int PRIMARY KEY) PARTITION BY RANGE (id);
TRUNCATE stem;
BEGIN;
CREATE TABLE branch (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
SAVEPOINT s;
TRUNCATE branch;
RELEASE s;
CREATE TABLE leaf PARTITION OF branch FOR VALUES FROM (0) TO (100000);
-- (parts of a value are no row yet: meanwhile no other transaction could be sent in part)
INSERT INTO branch SELECT i, (SELECT string_agg(md5(i || ' ' || j), '') FROM generate_series(1, 5000) j) FROM generate_series(1, 3) i;
COMMIT;
