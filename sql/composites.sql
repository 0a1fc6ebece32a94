-- Composite values, and what contains them, have the text that the server gives them.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SELECT slot_name FROM cdc.create_slot('cdc_regress_composites');
CREATE TYPE point3 AS (x int, y text, z numeric);
CREATE DOMAIN point_d AS point3 CHECK ((VALUE).x > 0);
CREATE TYPE nested AS (p point3, q point3[], "r,s" timestamptz, t bytea, u float8, v bool, c "char", n name);
CREATE TYPE deeper AS (a nested, b nested[], d point_d, e point_d[]);
CREATE TYPE nothing AS ();
CREATE TYPE mood AS ENUM ('sad', 'so, so', '"');
CREATE TYPE span AS RANGE (subtype = point3);
CREATE DOMAIN ints AS int[];
CREATE TYPE boxed AS (m mood[], r numrange, s span, g span[], b box[], i ints, j json, jj jsonb, mr int4multirange);
CREATE TABLE whole (a int, b text DEFAULT 'x', c int[]);
CREATE FUNCTION compare(relation regclass, OUT equal bigint, OUT different text) LANGUAGE plpgsql AS $$
BEGIN
  SET LOCAL timezone = 'UTC';
  SET LOCAL lc_monetary = 'C';
  EXECUTE format(
    $q$ SELECT count(*) FILTER (WHERE e.new->>'v' IS NOT DISTINCT FROM t.v::text AND t.id IS NOT NULL AND e.op = 'INSERT'),
               string_agg(format('%%s: %%s instead of %%s %%s', t.id, e.new->>'v', t.v, e.event->'failure'), E'\n' ORDER BY t.id)
               FILTER (WHERE e.new->>'v' IS DISTINCT FROM t.v::text OR t.id IS NULL)
        FROM cdc.read('cdc_regress_composites') e FULL JOIN %s t ON t.id = (e.key->>'id')::int $q$, relation) INTO equal, different;
END $$;
CREATE TABLE t1 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v point3);
INSERT INTO t1 (v) VALUES (NULL), (ROW(NULL, NULL, NULL)), (ROW(1, '', 1.50)), (ROW(-1, ' ', 'NaN')), (ROW(0, 'a"b', 0)), (ROW(0, 'a\b', 0)),
  (ROW(0, '(', 0)), (ROW(0, ')', 0)), (ROW(0, ',', 0)), (ROW(0, E'a\tb\nc\rde\ff', 0)), (ROW(0, 'é–𝄞', 0)), (ROW(0, U&'\00A0\2003', 0)),
  (ROW(0, 'NULL', 0)), (ROW(0, '{}[]', 0)), (ROW(0, repeat('"\', 1000), 1e1000)), (ROW(0, repeat('x', 3000), 0)), (ROW(0, repeat(md5('x'), 3000), 0));
SELECT * FROM compare('t1');
SELECT new FROM cdc.peek('cdc_regress_composites');
CREATE TABLE t2 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v nested);
INSERT INTO t2 (v) SELECT ROW(v, ARRAY[v, NULL, ROW(1, NULL, 2)::point3], '2026-11-03 10:00+02', '\x00ff', 'NaN', true, 'c', 'name, of')::nested FROM t1 WHERE length((v).y) < 100 OR v IS NULL;
INSERT INTO t2 (v) VALUES (ROW(NULL, '{}', 'infinity', '', -0.0, NULL, '', '')), (ROW(NULL, '[0:1][5:5]={{NULL},{"(1,,)"}}', NULL, NULL, NULL, NULL, NULL, NULL));
SELECT * FROM compare('t2');
CREATE TABLE t3 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v deeper);
INSERT INTO t3 (v) SELECT ROW(v, ARRAY[v, v], ROW(1, 'd', 2)::point_d, ARRAY[ROW(7, '"', 2)::point_d, NULL])::deeper FROM t2;
SELECT * FROM compare('t3');
CREATE TABLE t4 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v boxed);
INSERT INTO t4 (v) VALUES (NULL),
  (ROW('{sad,"so, so",NULL,"\""}', '[1,2)', span(ROW(1, 'a', 1)::point3, ROW(2, '"],[(', 1)::point3, '[]'), ARRAY[span(NULL, ROW(1, '', 1)::point3), 'empty', NULL],
       '{(1,1),(0,0);(2,2),(0,0)}', '{1,2}', '{"a" : 1}', '{"a": [1, "\""]}', '{[1,2),[5,)}')),
  (ROW('{}', 'empty', '(,)', '{}', '{}', '[5:6]={1,NULL}', 'null', '"NULL"', '{}'));
SELECT * FROM compare('t4');
-- as the column's own type: ranges, multiranges, arrays of arrays
CREATE TABLE t5 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v span);
INSERT INTO t5 (v) VALUES ('empty'), ('(,)'), (span(ROW(1, 'a b', 1)::point3, ROW(2, '', 1)::point3)), (span(ROW(1, 'a\', NULL)::point3, NULL, '[]'));
SELECT * FROM compare('t5');
CREATE TABLE t6 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v span_multirange);
INSERT INTO t6 (v) VALUES ('{}'), (span_multirange(span(ROW(1, 'a b', 1)::point3, ROW(2, '', 1)::point3), span(ROW(3, '"', 1)::point3, NULL)));
SELECT * FROM compare('t6');
CREATE TABLE t7 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v point_d);
INSERT INTO t7 (v) VALUES (ROW(1, ',', 3)), (NULL);
SELECT * FROM compare('t7');
CREATE DOMAIN d2 AS ints[];
CREATE DOMAIN d3 AS d2[];
CREATE TYPE levels AS (l d3, k d2);
CREATE TABLE t8 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v levels);
INSERT INTO t8 (v) VALUES (ROW(ARRAY[ARRAY['{1,2}'::ints, NULL, '{}'::ints]::d2, '{}'::d2, NULL]::d3, ARRAY['{{1},{2}}'::ints]::d2)), (ROW(NULL, '{}'));
SELECT * FROM compare('t8');
CREATE TABLE t9 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v nothing);
INSERT INTO t9 (v) VALUES (ROW()), (NULL);
SELECT * FROM compare('t9');
-- arrays of them are arrays in the stream: their elements have the text
CREATE TABLE arrays (id int PRIMARY KEY, v point3[], w d3, n span[]);
INSERT INTO arrays VALUES (1, ARRAY[ROW(1, 'a,b', 2)::point3, NULL], ARRAY[ARRAY['{1,2}'::ints]::d2, NULL]::d3, ARRAY[span(NULL, ROW(1, '', NULL)::point3)]);
SELECT new FROM cdc.read('cdc_regress_composites');

-- attributes that came and went, with values from before and after
ALTER TYPE point3 ADD ATTRIBUTE w int, DROP ATTRIBUTE y;
INSERT INTO t1 (v) VALUES (ROW(1, 2.50, 3)), (ROW(NULL, NULL, 3)), (ROW(NULL, NULL, NULL));
INSERT INTO t2 (v) SELECT v FROM t2 LIMIT 3;
-- the same row again, as it was stored then
UPDATE t1 SET id = DEFAULT;
SELECT key, new FROM cdc.peek('cdc_regress_composites') WHERE op = 'INSERT' AND relation = 'public.t1';
SELECT count(*) FROM t1, cdc.read('cdc_regress_composites') e WHERE relation = 'public.t1' AND op = 'UPDATE' AND coalesce(new_key, key)->>'id' = id::text AND new->>'v' IS NOT DISTINCT FROM v::text;
SELECT count(*) FROM t1;
-- the type as of the change, with the change of it before, between and behind
BEGIN;
INSERT INTO t1 (v) VALUES (ROW(1, 1, 1));
ALTER TYPE point3 ADD ATTRIBUTE "first" text;
INSERT INTO t1 (v) VALUES (ROW(2, 2, 2, 'two'));
ALTER TYPE point3 RENAME ATTRIBUTE x TO xx;
ALTER TYPE point3 DROP ATTRIBUTE z;
INSERT INTO t1 (v) VALUES (ROW(3, 3, 'three'));
COMMIT;
ALTER TYPE point3 ADD ATTRIBUTE late int;
INSERT INTO t1 (v) VALUES (ROW(4, 4, 'four', 4));
SELECT new->'v' AS v FROM cdc.read('cdc_regress_composites');
-- a table's row type
CREATE TABLE t10 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v whole);
INSERT INTO whole VALUES (1, 'w', '{1,2}'), (NULL, NULL, NULL);
INSERT INTO t10 (v) SELECT w FROM whole w;
ALTER TABLE whole ADD d int;
INSERT INTO t10 (v) SELECT w FROM whole w;
SELECT new->'v' AS v FROM cdc.read('cdc_regress_composites') WHERE relation = 'public.t10';
-- redacted, in a snapshot and in what older rows have
SELECT cdc.redact('t10', 'v', 'partial', prefix => 4, suffix => 2) AS rule \gset
ALTER TABLE t8 ADD m boxed DEFAULT ROW('{sad}', '[1,2)', NULL, NULL, NULL, NULL, NULL, NULL, NULL)::boxed;
INSERT INTO t10 (v) VALUES (ROW(1, 'canary', NULL, NULL));
INSERT INTO t8 DEFAULT VALUES;
SELECT relation, new, event->'redacted' AS redacted FROM cdc.read('cdc_regress_composites');
SELECT c->>'missing' AS missing FROM jsonb_array_elements(cdc.table_schema('t8')->'columns') c WHERE c->>'name' = 'm';
SELECT new, event->'redacted' AS redacted FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('t10') b)) LIMIT 1;
SET timezone = 'UTC'; SET datestyle = 'ISO';
SELECT new->>'v' = v::text AS same FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('t3') b)), t3 WHERE id::text = key->>'id' LIMIT 1;
RESET timezone; RESET datestyle;

SELECT cdc.unredact(:rule);
SELECT cdc.drop_slot('cdc_regress_composites');
SET client_min_messages = warning;
DROP TABLE t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, arrays, whole;
DROP TYPE point3, nested, deeper, nothing, mood, span, ints, boxed, levels CASCADE;
DROP FUNCTION compare;
