-- cdc.snapshot(): tables as they are, in the form of the stream.
\set SHOW_CONTEXT never
SELECT slot_name FROM cdc.create_slot('cdc_regress_snapshot');
CREATE VIEW plain AS SELECT 1 AS x;
CREATE TABLE t (id int PRIMARY KEY, v text, dropped int, n numeric);
ALTER TABLE t DROP COLUMN dropped;
INSERT INTO t VALUES (1, 'a', 1.50), (2, NULL, NULL), (3, '', 'NaN');
ALTER TABLE t ADD w int DEFAULT 7;
CREATE FUNCTION rows(relation regclass, from_key text[] DEFAULT NULL, to_key text[] DEFAULT NULL, from_block bigint DEFAULT NULL, to_block bigint DEFAULT NULL, options text[] DEFAULT '{}', slot name DEFAULT NULL)
RETURNS SETOF text LANGUAGE sql AS $$
  SELECT regexp_replace(line::text, ',"fingerprint":"[0-9a-f]{16}"', '')
  FROM (SELECT cdc.decode_json((SELECT string_agg(b, '') FROM cdc.snapshot(relation, from_key, to_key, from_block, to_block, options, slot) b)) AS line) x
$$;
SELECT rows('t');
SELECT op, relation, fingerprint = cdc.fingerprint('t') AS same, key, new, position FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('t') b));
-- the event of a row is the one that an INSERT sends, but for op and position
CREATE TABLE copy (LIKE t INCLUDING ALL);
INSERT INTO copy SELECT * FROM t;
SELECT replace(rows, '"op":"READ"', '"op":"INSERT"') FROM rows('copy') EXCEPT SELECT changes('cdc_regress_snapshot');

-- SQL of another version than the library's: its tables may be others
BEGIN;
UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'cdc';
SAVEPOINT s;
SELECT cdc.snapshot('t');
ROLLBACK TO s;
SELECT cdc.peek('cdc_regress_snapshot');
ROLLBACK;

-- no rows are a batch, too; no table is none
CREATE TABLE empty (x int);
SELECT count(*) FROM cdc.snapshot('empty');
SELECT count(*) FROM rows('empty');
SELECT count(*) FROM cdc.snapshot(NULL);
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
SELECT rows('nothing');

-- values out of line, compressed, and a batch size
CREATE TABLE large (id int PRIMARY KEY, plain text, packed text);
ALTER TABLE large ALTER plain SET STORAGE EXTERNAL;
INSERT INTO large SELECT g, repeat(md5(g::text), 500), repeat('x', 100000) FROM generate_series(1, 20) g;
SELECT count(*), bool_and(new->>'plain' = plain), bool_and(new->>'packed' = packed)
FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('large') b)) JOIN large ON (key->>'id')::int = id;
SELECT count(*) > 10 AS several, max(length(b)) < 200000 AS none_is_large FROM cdc.snapshot('large', options => '{batch_bytes,64kB}') b;
SELECT count(*) FROM cdc.snapshot('large', options => '{batch_bytes,16MB}');
SELECT count(*), count(DISTINCT b) FROM cdc.snapshot('large', options => '{batch_bytes,1}') b;
-- every batch can be read alone
SELECT count(*) FROM (SELECT cdc.decode(b) FROM cdc.snapshot('large', options => '{batch_bytes,1,schemas,batch}') b) x;
-- what is not fetched is not read
SELECT length(cdc.snapshot('large')) > 100000 AS one FROM generate_series(1, 1) LIMIT 1;
SELECT count(*) FROM pg_cursors WHERE statement ~ 'large' AND name ~ 'portal';

-- ranges of keys, in the order of the index
CREATE TABLE keyed (b int NOT NULL, "A a" text COLLATE "C" NOT NULL, c int, PRIMARY KEY ("A a", b));
INSERT INTO keyed SELECT g, 'k' || g % 3, g FROM generate_series(1, 30) g;
SELECT * FROM cdc.snapshot_chunks('keyed', 8);
SELECT c.from_key, r.* FROM cdc.snapshot_chunks('keyed', 8) c,
  LATERAL (SELECT count(*), min(new->>'c'), max(new->>'c') FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('keyed', c.from_key, c.to_key) b))) r;
SELECT count(*) AS all_of_them FROM cdc.snapshot_chunks('keyed', 1) c, LATERAL rows('keyed', c.from_key, c.to_key);
SELECT rows('keyed', '{k1,28}', '{k2,3}');
SELECT rows('keyed', '{z,0}');
SELECT count(*) FROM rows('keyed', NULL, '{k1,1}');
SELECT rows('keyed', '{k1,1}', '{k1,1}');
-- other orders than the type's own
CREATE TABLE enumerated (k text PRIMARY KEY);
INSERT INTO enumerated VALUES ('é'), ('a"b'), ('a,b'), ('NULL'), (''), ('{}'), ('\');
SELECT from_key, to_key FROM cdc.snapshot_chunks('enumerated', 3);
SELECT count(DISTINCT rows) FROM cdc.snapshot_chunks('enumerated', 2) c, LATERAL rows('enumerated', c.from_key, c.to_key);
SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Tokyo'; SET intervalstyle = iso_8601;
CREATE TABLE timed (t timestamptz, i interval, PRIMARY KEY (t, i));
INSERT INTO timed SELECT '2026-11-03 00:00 UTC'::timestamptz + g * '1 hour'::interval, '1 year 2 days' FROM generate_series(1, 6) g;
SELECT from_key FROM cdc.snapshot_chunks('timed', 2);
SELECT count(DISTINCT rows) FROM cdc.snapshot_chunks('timed', 2) c, LATERAL rows('timed', c.from_key, c.to_key);
RESET datestyle; RESET timezone; RESET intervalstyle;

-- without a key by block, in one transaction
CREATE TABLE unkeyed AS SELECT g AS x, repeat('y', 100) AS y FROM generate_series(1, 1000) g;
ANALYZE unkeyed;
SELECT count(*), count(from_block), count(to_block), count(key_columns) FROM cdc.snapshot_chunks('unkeyed', 400);
SELECT rows('unkeyed', from_block => 1);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*), count(DISTINCT rows) FROM cdc.snapshot_chunks('unkeyed', 100) c, LATERAL rows('unkeyed', NULL, NULL, c.from_block, c.to_block);
COMMIT;

-- what the options select, also those of a slot
CREATE PUBLICATION cdc_regress_some FOR TABLE t (id, n) WHERE (id > 1);
SELECT rows('t', options => '{publication_names,cdc_regress_some}');
SELECT cdc.alter_slot('cdc_regress_snapshot', '{publication_names,cdc_regress_some}');
SELECT rows('t', slot => 'cdc_regress_snapshot');
SELECT rows('copy', slot => 'cdc_regress_snapshot');
SELECT rows('t', options => '{exclude_tables,public.t}', slot => 'cdc_regress_snapshot');
-- a filter that fails
ALTER PUBLICATION cdc_regress_some SET TABLE t WHERE (1 / (id - 1) >= 0);
SELECT rows('t', options => '{publication_names,cdc_regress_some}');
\set VERBOSITY terse
SELECT rows('t', options => '{publication_names,cdc_regress_some,on_error,stop}');
-- partitions
CREATE TABLE root (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF root FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 (v text, id int);
ALTER TABLE root ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20);
INSERT INTO root VALUES (1, 'one'), (11, 'two');
SELECT rows('part2');
SELECT rows('root');
CREATE PUBLICATION cdc_regress_root FOR TABLE root WITH (publish_via_partition_root = true);
SELECT rows('root', options => '{publication_names,cdc_regress_root}');
SELECT rows('part2', options => '{publication_names,cdc_regress_root}');
SELECT * FROM cdc.snapshot_chunks('root');
-- of which one has a schema of its own
SELECT cdc.redact('part2', 'v', 'mask') AS rule \gset
SELECT rows('root', options => '{publication_names,cdc_regress_root,batch_bytes,1}');
SELECT cdc.unredact(:rule);
DROP PUBLICATION cdc_regress_some, cdc_regress_root;
-- rows of what inherits are sent under its own name
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2);
SELECT rows('parent');
DROP TABLE parent, child;

-- as of the snapshot, with the columns of now; what was truncated or rewritten is no empty table
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_current_snapshot() IS NOT NULL AS taken;
\! psql -XqAt -d contrib_regression -c "INSERT INTO t VALUES (4)" -c "ALTER TABLE t ADD late text DEFAULT 'x'" -c "TRUNCATE copy" -c "ALTER TABLE large ALTER id TYPE bigint" -c "CREATE TABLE later (x int)"
SELECT rows('t', '{2}');
SAVEPOINT s;
SELECT rows('copy');
ROLLBACK TO s;
SELECT rows('large');
ROLLBACK TO s;
SELECT rows('later');
ROLLBACK;
-- in its own transaction what it did is there
BEGIN;
TRUNCATE t;
INSERT INTO t VALUES (5);
SELECT rows('t');
ROLLBACK;

-- errors
\set VERBOSITY default
SELECT rows('keyed', '{a}');
SELECT rows('keyed', '{a,x}');
SELECT rows('keyed', ARRAY['a', NULL]);
SELECT rows('unkeyed', '{1}');
SELECT rows('plain');
SELECT rows('pg_class');
SELECT rows('cdc.slot_option');
SELECT rows('t', options => '{format,json}');
\set VERBOSITY terse
SELECT rows('t', options => '{nonsense,1}');
\set VERBOSITY default
CREATE TEMP TABLE temporary (x int);
SELECT rows('temporary');
SELECT count(*) FROM cdc.snapshot_chunks('t', 0);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT rows('t', from_block => -1);
ROLLBACK;
-- privileges are the caller's, and a policy that would hide rows is an error
CREATE ROLE cdc_regress_nobody;
GRANT USAGE ON SCHEMA cdc TO cdc_regress_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO cdc_regress_nobody;
SET ROLE cdc_regress_nobody;
SELECT rows('keyed');
SELECT count(*) FROM cdc.snapshot_chunks('keyed');
RESET ROLE;
GRANT SELECT ON keyed TO cdc_regress_nobody;
ALTER TABLE keyed ENABLE ROW LEVEL SECURITY;
SET ROLE cdc_regress_nobody;
SELECT rows('keyed');
RESET ROLE;
ALTER TABLE keyed DISABLE ROW LEVEL SECURITY;
SET ROLE cdc_regress_nobody;
SELECT count(*) FROM rows('keyed');
RESET ROLE;
DROP OWNED BY cdc_regress_nobody;
DROP ROLE cdc_regress_nobody;

SELECT cdc.drop_slot('cdc_regress_snapshot');
DROP VIEW plain;
DROP TABLE t, copy, empty, nothing, large, keyed, enumerated, timed, unkeyed, root, later;
DROP FUNCTION rows;
