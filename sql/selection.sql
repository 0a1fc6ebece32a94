-- Which changes are sent: publications, tables, exclude_tables, origin.
\set SHOW_CONTEXT never
SELECT slot_name FROM cdc.create_slot('cdc_regress_selection');

-- What one slot holds, as several clients select it, and then consumed.
CREATE FUNCTION peek(VARIADIC options text[]) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT regexp_replace(
           regexp_replace(data, '^\{"position":"[^"]*",("xid":\d+,"commit_time":"[^"]*",)?', '{'),
           ',"fingerprint":"[0-9a-f]{16}"', '')
  FROM pg_logical_slot_peek_changes('cdc_regress_selection', NULL, NULL,
         VARIADIC ARRAY['format', 'json'] || options)
  WHERE data NOT LIKE '{"xid":%'
$$;
CREATE PROCEDURE skip() LANGUAGE sql AS $$
  SELECT pg_replication_slot_advance('cdc_regress_selection', pg_current_wal_lsn())
$$;

--
-- tables and exclude_tables
--
CREATE SCHEMA app;
CREATE TABLE t (a int);
CREATE TABLE app.t (a int);
CREATE TABLE app."U.v,*" (a int);
INSERT INTO t VALUES (1);
INSERT INTO app.t VALUES (2);
INSERT INTO app."U.v,*" VALUES (3);
SELECT peek('tables', 'public.t');
SELECT peek('tables', 'app.*');
SELECT peek('tables', ' *.T , app . "U.v,*" ');
SELECT peek('tables', '*.*', 'exclude_tables', '*.t');
SELECT peek('exclude_tables', 'app."U.v,*",public.*');
SELECT peek('tables', 'app."*"');
-- what is malformed is said
SELECT peek('tables', 't');
SELECT peek('tables', 'app.t,');
SELECT peek('tables', 'app."t');
SELECT peek('exclude_tables', '');
SELECT peek('exclude_tables', 'app.t extra');
SELECT peek('publication_names', '');
SELECT peek('publication_names', 'a,,b');
SELECT peek('origin', 'local');

--
-- publications: tables, schemas, operations
--
CREATE TABLE k (id int PRIMARY KEY, v text);
CREATE PUBLICATION cdc_regress_all FOR ALL TABLES;
CREATE PUBLICATION cdc_regress_some FOR TABLE k WITH (publish = 'insert, delete');
CREATE PUBLICATION cdc_regress_more FOR TABLE k, TABLES IN SCHEMA app WITH (publish = 'update');
CREATE PUBLICATION "Truncating" FOR TABLE k WITH (publish = 'truncate');
CREATE PUBLICATION cdc_regress_empty;
CALL skip();
INSERT INTO k VALUES (1, 'one');
UPDATE k SET v = 'eins';
DELETE FROM k;
TRUNCATE k, t;
INSERT INTO t VALUES (4);
INSERT INTO app.t VALUES (5);
SELECT peek('publication_names', 'cdc_regress_all');
SELECT peek('publication_names', 'cdc_regress_some');
SELECT peek('publication_names', 'CDC_regress_more');
SELECT peek('publication_names', 'cdc_regress_more, cdc_regress_some');
SELECT peek('publication_names', '"Truncating"');
SELECT peek('publication_names', 'cdc_regress_empty');
-- with the other options
SELECT peek('publication_names', 'cdc_regress_all', 'tables', '*.t', 'exclude_tables', 'app.*');

-- a publication that is missing
SELECT peek('publication_names', 'cdc_regress_none');
SELECT peek('publication_names', 'cdc_regress_none, cdc_regress_some');
-- is looked up again, at the right place of the stream
CALL skip();
INSERT INTO t VALUES (6);
CREATE PUBLICATION cdc_regress_late FOR TABLE t;
INSERT INTO t VALUES (7);
ALTER PUBLICATION cdc_regress_late RENAME TO cdc_regress_later;
INSERT INTO t VALUES (8);
ALTER PUBLICATION cdc_regress_later RENAME TO cdc_regress_late;
BEGIN;
INSERT INTO t VALUES (9);
ALTER PUBLICATION cdc_regress_late DROP TABLE t;
INSERT INTO t VALUES (10);
ALTER PUBLICATION cdc_regress_late ADD TABLES IN SCHEMA public;
INSERT INTO t VALUES (11);
COMMIT;
ALTER PUBLICATION cdc_regress_late SET (publish = 'truncate');
INSERT INTO t VALUES (12);
ALTER PUBLICATION cdc_regress_late SET (publish = 'insert');
INSERT INTO t VALUES (13);
CREATE SCHEMA away;
ALTER TABLE t SET SCHEMA away;
INSERT INTO away.t VALUES (14);
ALTER TABLE away.t SET SCHEMA public;
INSERT INTO t VALUES (15);
SELECT peek('publication_names', 'cdc_regress_late');
DROP PUBLICATION cdc_regress_late;
DROP PUBLICATION cdc_regress_all, cdc_regress_some, cdc_regress_more, "Truncating", cdc_regress_empty;

--
-- row filters
--
CREATE TABLE f (id int PRIMARY KEY, region text, big text);
ALTER TABLE f ALTER big SET STORAGE EXTERNAL;
ALTER TABLE f REPLICA IDENTITY FULL;
CREATE PUBLICATION cdc_regress_f FOR TABLE f WHERE (region = 'eu');
CALL skip();
INSERT INTO f VALUES (1, 'eu', 'x'), (2, 'us', 'x'), (3, NULL, 'x');
UPDATE f SET region = 'eu' WHERE id = 2;
UPDATE f SET region = 'us' WHERE id = 1;
UPDATE f SET big = 'y';
UPDATE f SET id = id + 10;
DELETE FROM f;
TRUNCATE f;
-- what crosses the filter becomes INSERT or DELETE
SELECT peek('publication_names', 'cdc_regress_f');
-- one of several filters suffices, for each operation on its own
CREATE PUBLICATION cdc_regress_f2 FOR TABLE f WHERE (id < 4) WITH (publish = 'insert');
CREATE PUBLICATION cdc_regress_f3 FOR TABLE f WITH (publish = 'delete');
CALL skip();
INSERT INTO f VALUES (1, 'us', 'x'), (5, 'eu', 'x'), (6, 'us', 'x');
DELETE FROM f WHERE id > 5;
SELECT peek('publication_names', 'cdc_regress_f,cdc_regress_f2,cdc_regress_f3');
-- positions do not depend on what is sent
CALL skip();
COPY f FROM stdin WITH (DELIMITER ' ');
21 us x
22 eu x
23 us x
24 eu x
\.
SELECT substring(data from '"position":"[^"]*/([^/"]*)"') AS index,
  substring(data from '"position":"([^"]*)"') IN (
    SELECT substring(data from '"position":"([^"]*)"')
    FROM pg_logical_slot_peek_changes('cdc_regress_selection', NULL, NULL, 'format', 'json')
    WHERE data LIKE '%"key":{"id":' || substring(b.data from '"id":(\d+)') || '}%') AS the_same
FROM pg_logical_slot_peek_changes('cdc_regress_selection', NULL, NULL, 'format', 'json',
  'publication_names', 'cdc_regress_f') b WHERE data LIKE '{"position"%';

-- an INSERT that was an UPDATE has the untouched large values of the old row
CALL skip();
TRUNCATE f;
INSERT INTO f VALUES (1, 'us', repeat('0123456789', 300));
UPDATE f SET region = 'eu';
SELECT left(peek, 90) AS start, length(peek) > 3000 AS has_big, peek LIKE '%unavailable%' AS unavailable
FROM peek('publication_names', 'cdc_regress_f');
-- or, where the WAL has none, says so
ALTER TABLE f ALTER region SET NOT NULL;
CREATE UNIQUE INDEX f_identity ON f (id, region);
ALTER TABLE f REPLICA IDENTITY USING INDEX f_identity;
UPDATE f SET region = 'us';
CALL skip();
UPDATE f SET region = 'eu';
UPDATE f SET region = 'us';
SELECT peek('publication_names', 'cdc_regress_f');

-- a filter that raises does not stop the slot, and shows no value
CREATE PUBLICATION cdc_regress_raise FOR TABLE f WHERE (1 / (id - 7) >= 0) WITH (publish = 'insert');
CREATE PUBLICATION cdc_regress_never FOR TABLE f WHERE (1 / 0 = 1) WITH (publish = 'insert');
CREATE TABLE c (a text COLLATE "C" PRIMARY KEY, b text COLLATE "POSIX" NOT NULL, n int);
CREATE PUBLICATION cdc_regress_collate FOR TABLE c WHERE (n = 1 OR a = b) WITH (publish = 'insert');
CALL skip();
INSERT INTO f VALUES (9, 'eu', 'x'), (7, 'eu', 'secret'), (8, 'eu', 'x'), (6, 'eu', 'x');
-- (it is prepared with the first row, and raises with the second)
INSERT INTO c VALUES ('a', 'a', 1), ('b', 'b', 2);
SELECT peek('publication_names', 'cdc_regress_raise');
SELECT peek('publication_names', 'cdc_regress_never');
SELECT peek('publication_names', 'cdc_regress_collate');
SELECT peek('publication_names', 'cdc_regress_raise', 'on_error', 'stop');
DROP PUBLICATION cdc_regress_f, cdc_regress_f2, cdc_regress_f3, cdc_regress_raise, cdc_regress_never, cdc_regress_collate;

-- of a rewrite, the rows that pass
CREATE TABLE w (id int PRIMARY KEY, v int);
CREATE PUBLICATION cdc_regress_w FOR TABLE w WHERE (id > 1);
INSERT INTO w VALUES (1, 1), (2, 2), (3, 3);
CALL skip();
ALTER TABLE w ALTER v TYPE text;
SELECT peek('publication_names', 'cdc_regress_w');
DROP PUBLICATION cdc_regress_w;

--
-- column lists
--
CREATE TABLE l (id int PRIMARY KEY, a text, b text, g int GENERATED ALWAYS AS (id * 2) STORED);
CREATE PUBLICATION cdc_regress_l FOR TABLE l (id, b);
CREATE PUBLICATION cdc_regress_all FOR ALL TABLES;
CALL skip();
INSERT INTO l (id, a, b) VALUES (1, 'a', 'b');
UPDATE l SET id = 2, a = 'aa';
DELETE FROM l;
SELECT peek('publication_names', 'cdc_regress_l');
SELECT peek('publication_names', 'cdc_regress_all');
-- lists that differ: what all send, and one warning
SELECT peek('publication_names', 'cdc_regress_all, cdc_regress_l');
DROP PUBLICATION cdc_regress_l, cdc_regress_all;
-- a key that is not sent whole is none
CREATE TABLE kk (a int, b int, c int, PRIMARY KEY (a, b));
CREATE PUBLICATION cdc_regress_kk FOR TABLE kk (a, c) WITH (publish = 'insert');
CREATE PUBLICATION cdc_regress_kk2 FOR TABLE kk WITH (publish = 'update, delete');
CALL skip();
INSERT INTO kk VALUES (1, 2, 3);
UPDATE kk SET c = 4;
UPDATE kk SET a = 5;
DELETE FROM kk;
SELECT peek('publication_names', 'cdc_regress_kk');
SELECT peek('publication_names', 'cdc_regress_kk,cdc_regress_kk2');
DROP PUBLICATION cdc_regress_kk, cdc_regress_kk2;

--
-- partitions
--
CREATE TABLE p (a int, gone int, b text, c text) PARTITION BY RANGE (a);
ALTER TABLE p DROP gone;
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (c text, a int NOT NULL, b text) PARTITION BY RANGE (a);
CREATE TABLE p21 (b text, c text, a int NOT NULL);
ALTER TABLE p2 ATTACH PARTITION p21 FOR VALUES FROM (10) TO (15);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
ALTER TABLE p ADD PRIMARY KEY (a);
CREATE PUBLICATION cdc_regress_leaf FOR TABLE p;
CREATE PUBLICATION cdc_regress_root FOR TABLE p WITH (publish_via_partition_root);
CREATE PUBLICATION cdc_regress_sub FOR TABLE p2 WHERE (a < 13) WITH (publish_via_partition_root);
CREATE PUBLICATION cdc_regress_list FOR TABLE p (a, c) WHERE (a <> 2) WITH (publish_via_partition_root);
CREATE PUBLICATION cdc_regress_schema FOR TABLES IN SCHEMA public WITH (publish_via_partition_root);
CALL skip();
INSERT INTO p VALUES (1, 'b', 'one'), (2, 'b', 'two'), (11, 'b', 'eleven'), (14, 'b', 'fourteen');
UPDATE p SET c = 'ONE' WHERE a = 1;
UPDATE p SET a = 12 WHERE a = 11;
UPDATE p SET a = 13 WHERE a = 1;
DELETE FROM p WHERE a = 13;
TRUNCATE p1;
TRUNCATE p;
SELECT peek('publication_names', 'cdc_regress_leaf');
SELECT peek('publication_names', 'cdc_regress_root');
SELECT peek('publication_names', 'cdc_regress_sub');
SELECT peek('publication_names', 'cdc_regress_list');
-- the highest ancestor wins, with the columns and rows of its publications
SELECT peek('publication_names', 'cdc_regress_sub,cdc_regress_list');
SELECT count(*) FROM peek('publication_names', 'cdc_regress_schema');
-- `tables` knows both names
SELECT peek('publication_names', 'cdc_regress_root', 'tables', '*.p1');
SELECT peek('publication_names', 'cdc_regress_root', 'exclude_tables', '*.p1', 'tables', '*.p');
SELECT peek('publication_names', 'cdc_regress_root', 'exclude_tables', '*.p');
-- the root's new name and the columns' are known
CALL skip();
INSERT INTO p VALUES (11, 'b', 'c');
ALTER TABLE p RENAME TO q;
INSERT INTO q VALUES (14, 'b', 'c');
ALTER TABLE q RENAME c TO d;
INSERT INTO q VALUES (12, 'b', 'd');
ALTER TABLE q DETACH PARTITION p2;
INSERT INTO p2 (a, b, d) VALUES (13, 'b', 'd');
SELECT peek('publication_names', 'cdc_regress_root');
-- a rewrite of the root is one of all its partitions, one after the other
ALTER TABLE q ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
INSERT INTO q VALUES (1, 'b', 'd');
CALL skip();
DROP PUBLICATION cdc_regress_list;
BEGIN;
ALTER TABLE q ALTER b TYPE bytea USING b::bytea;
ALTER TABLE q ALTER d TYPE bytea USING d::bytea;
COMMIT;
SELECT peek('publication_names', 'cdc_regress_root');
-- but one of a partition alone is none of the root
CALL skip();
ALTER TABLE p1 SET UNLOGGED;
ALTER TABLE p1 SET LOGGED;
SELECT peek('publication_names', 'cdc_regress_root');
SELECT peek('publication_names', 'cdc_regress_leaf');
DROP PUBLICATION cdc_regress_leaf, cdc_regress_root, cdc_regress_sub, cdc_regress_schema;

--
-- origin
--
CALL skip();
SELECT pg_replication_origin_create('cdc_regress_elsewhere') > 0 AS created;
INSERT INTO t VALUES (1);
SELECT pg_replication_origin_session_setup('cdc_regress_elsewhere');
INSERT INTO t VALUES (2);
SELECT pg_replication_origin_session_reset();
INSERT INTO t VALUES (3);
SELECT peek('origin', 'any');
SELECT peek('origin', 'none');
SELECT pg_replication_origin_drop('cdc_regress_elsewhere');

SELECT cdc.drop_slot('cdc_regress_selection');
DROP FUNCTION peek;
DROP PROCEDURE skip;
DROP TABLE t, k, f, c, w, l, kk, q;
DROP TABLE app.t, app."U.v,*";
DROP SCHEMA app, away;
