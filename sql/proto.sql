-- proto: a .proto that protoc takes, whatever tables and columns are called.
CREATE TABLE plain (id int PRIMARY KEY, name text NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED);
SELECT cdc.proto('plain') LIKE '%' || cdc.fingerprint('plain') || '%' AS names_its_fingerprint;

-- Shows a .proto without what differs between servers.
CREATE FUNCTION show(relation regclass) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT line FROM regexp_split_to_table(rtrim(replace(cdc.proto(relation), cdc.fingerprint(relation), '<fingerprint>'), E'\n'), E'\n') line
$$;
\t on
\pset format unaligned
SELECT show('plain');

-- every type; messages of ours bring an import
CREATE TYPE mood AS ENUM ('sad');
CREATE DOMAIN nested AS numeric(5,1);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE types (b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, n numeric(10,2), t text, v varchar(3),
  c char(2), na name, k "char", x xml, m mood, j json, jb jsonb, y bytea, u uuid, ts timestamp(3), tz timestamptz, d date, ti time,
  tt timetz, iv interval, ia int[], ta text[], nd nested, p pair, r int4range, ip inet, pt point, bt bit(3), mo money);
SELECT show('types');
CREATE TABLE arrays (b bool[], i2 int2[], i8 int8[], o oid[], f4 float4[], f8 float8[], n numeric[], v varchar(3)[], j json[], y bytea[],
  u uuid[], tz timestamptz[], d date[], ti time[], tt timetz[], iv interval[], m mood[], nd nested[], p pair[], r int4range[]);
SELECT show('arrays');

-- the declared type is one that PostgreSQL can parse, and the same one
CREATE TABLE modified (a numeric(10,2), b numeric(3,-2), c varchar(3), d char(2), e bit(3), f varbit(5), g timestamp(3), h timestamptz(0), i time(2), j timetz(1),
  k interval, l interval(3), m interval year, n interval day to second(2), o interval hour to minute, p interval second(0), q interval minute to second(6)[],
  r numeric(5,1)[], s "char", t timestamptz(1)[], u name, v pair, w nested, x bpchar, y bit);
CREATE TABLE parsed ();
DO $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT * FROM jsonb_to_recordset(cdc.table_schema('modified') -> 'columns') c(name name, pg_type text) LOOP
    EXECUTE format('ALTER TABLE parsed ADD %I %s', c.name, c.pg_type);
  END LOOP;
END $$;
SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS declared, format_type(b.atttypid, b.atttypmod) AS parsed
FROM pg_attribute a JOIN pg_attribute b ON b.attrelid = 'parsed'::regclass AND b.attname = a.attname
WHERE a.attrelid = 'modified'::regclass AND a.attnum > 0 AND (a.atttypid, a.atttypmod) <> (b.atttypid, b.atttypmod);
SELECT count(*) FROM pg_attribute WHERE attrelid = 'parsed'::regclass AND attnum > 0;
SELECT line FROM show('modified') line WHERE line LIKE '%interval%';
DROP TABLE modified, parsed;

-- names that are no identifiers
CREATE TABLE "odd ""Table"" größe
second line" ("with space" int, "größe" int, "quo""te" int, "a'b" int, "new
line" int, "semi;colon" int, "slash//comment" int, "1st" int, "_" int, "__" int, "ЖЖ" int, "日本" int, "tab	" int);
SELECT show('"odd ""Table"" größe
second line"');
-- names that mean something to protoc
CREATE TABLE message (optional int, message int, reserved int, package int, string int, "int32" int, "true" int, "import" int,
  "syntax" int, "enum" int, "oneof" int, "option" int, "extend" int, "to" int, "max" int, "rpc" int, "map" int, "inf" int, "nan" int);
SELECT show('message');
-- names that protoc does not tell apart, also after they were changed
CREATE TABLE collisions (a_b int, ab int, "AB" int, "a b" int, "aB" int, a__b int, "A_b_" int, other int,
  x_12 int, "x" int, "X" int, x_10 int, "x-" int);
SELECT show('collisions');
CREATE TABLE "9 lives" ("a-" int, "a_1" int, "a+" int, "a_3" int);
SELECT show('"9 lives"');
CREATE TABLE "Ж" (a int);
SELECT show('"Ж"');
CREATE SCHEMA "odd schema.with dot";
CREATE TABLE "odd schema.with dot".order_item (id int);
SELECT show('"odd schema.with dot".order_item');

-- dropped columns are reserved, at either end too
CREATE TABLE dropped (a int, b int, c int, d int, e int);
ALTER TABLE dropped DROP a, DROP c, DROP e;
SELECT show('dropped');
ALTER TABLE dropped ADD e int;
ALTER TABLE dropped RENAME b TO renamed;
SELECT show('dropped');
-- no columns, and none any more
CREATE TABLE no_columns ();
SELECT show('no_columns');
CREATE TABLE emptied (a int);
ALTER TABLE emptied DROP a;
SELECT show('emptied');

-- keys as the replica identity has them
CREATE TABLE by_index (a int NOT NULL, b int NOT NULL, c int PRIMARY KEY);
CREATE UNIQUE INDEX by_index_ab ON by_index (b, a);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_ab;
SELECT show('by_index');
-- inheritance, partitions: each has its own
CREATE TABLE parent (id int, t text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE leaf (t text, gone int, id int NOT NULL);
ALTER TABLE leaf DROP gone;
ALTER TABLE parent ATTACH PARTITION leaf FOR VALUES FROM (0) TO (10);
SELECT show('parent');
SELECT show('leaf');
CREATE TABLE child (c int) INHERITS (plain);
SELECT show('child');

-- as many columns as a table can have
DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE wide (' || string_agg('c' || n || ' int', ', ') || ')' FROM generate_series(1, 1600) n); END $$;
SELECT count(*) FROM show('wide') line WHERE line LIKE '  optional sint32 c%';
SELECT line FROM show('wide') WITH ORDINALITY s(line, n) WHERE line LIKE '%= 1600;';
-- all of the same name, to protoc
DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE same (' || string_agg(format('%I int', 'a' || repeat('-', n)), ', ') || ')' FROM generate_series(1, 50) n); END $$;
SELECT count(DISTINCT lower(replace(line, '_', ''))) FROM show('same') line WHERE line LIKE '  optional%';

-- what is no table
\set VERBOSITY terse
CREATE VIEW view AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW matview AS SELECT 1 AS a;
CREATE SEQUENCE seq;
CREATE INDEX idx ON plain (name);
SELECT cdc.proto('view');
SELECT cdc.proto('matview');
SELECT cdc.proto('seq');
SELECT cdc.proto('idx');
SELECT cdc.proto('pair');
SELECT cdc.table_schema('view');
SELECT cdc.fingerprint('view');
SELECT cdc.proto(0);
SELECT cdc.proto('does_not_exist');
SELECT cdc.proto(NULL) IS NULL, cdc.fingerprint(NULL) IS NULL, cdc.table_schema(NULL) IS NULL;

-- the same whatever the settings
SELECT cdc.proto('types') AS before \gset
SET search_path = cdc, public; SET quote_all_identifiers = on; SET lc_messages = 'C';
SELECT cdc.proto('public.types') = :'before';
RESET ALL;

SET client_min_messages = warning;
DROP SCHEMA "odd schema.with dot" CASCADE;
DROP TABLE plain, types, arrays, "odd ""Table"" größe
second line", message, collisions, "9 lives", "Ж", dropped, no_columns, emptied, by_index, parent, child, wide, same CASCADE;
DROP VIEW view;
DROP MATERIALIZED VIEW matview;
DROP SEQUENCE seq;
DROP TYPE mood, pair;
DROP DOMAIN nested;
DROP FUNCTION show;

-- comments, labels, former names; versions of the registry, and converters between them
CREATE SCHEMA proto_versions;
SET search_path = proto_versions;
SET client_min_messages = error;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN feeling AS mood;
CREATE TABLE orders (id int PRIMARY KEY, name text NOT NULL, qty int, tag varchar(5), "Type" mood, moods mood[], f feeling, gone inet, "odd
name" int, string int, self int, "user__Id" int, x1y int, secret text);
COMMENT ON TABLE orders IS E'All orders.\n\nSecond line */ // "x"';
COMMENT ON COLUMN orders.qty IS E'pieces\nor packs';
COMMENT ON COLUMN orders.tag IS 'is dropped';
SELECT cdc.register('orders');
SELECT cdc.redact('orders', 'secret', 'mask', length => 3) IS NOT NULL AS redacted;
SELECT cdc.redact('orders', 'user__Id', 'drop') IS NOT NULL AS dropped;
ALTER TABLE orders RENAME name TO title;
ALTER TABLE orders DROP tag, DROP "odd
name", ALTER qty TYPE bigint, ADD added timestamptz NOT NULL DEFAULT now(), ALTER gone TYPE text, ADD tag int;
SELECT replace(cdc.proto('orders'), cdc.fingerprint('orders'), '<fingerprint>');
SELECT regexp_replace(cdc.proto('orders', 1), 'schema [0-9a-f]{16}', 'schema <fingerprint>');
SELECT path, content = cdc.proto('orders') AS same FROM cdc.proto_files('proto_versions');
SELECT path, content = cdc.proto('orders') AS same FROM cdc.proto_files();
SELECT cdc.converter('orders', 1, 3, 'sql');
SELECT cdc.converter('orders', 3, 1, 'sql');
SELECT cdc.converter('orders', 1, 3, 'go');
SELECT cdc.converter('orders', 3, 1, 'rust');
SELECT cdc.converter('orders', 1, 3, 'cobol');
SELECT cdc.converter('orders', 1, 9, 'go');
SELECT cdc.proto('orders', 9);
-- labels are no end
SELECT 'CREATE TYPE many AS ENUM (' || string_agg(quote_literal('l' || n), ', ') || ')' FROM generate_series(1, 60) n \gexec
CREATE TABLE labels (m many);
SELECT substring(cdc.proto('labels') FROM 'one of.*more') ~ '^one of ''l1'', .*, ''l50'' and 10 more$' AS cut;
SELECT cdc.unregister('orders');
SELECT count(cdc.unredact(id)) FROM cdc.redaction_rules;
RESET search_path;
DROP SCHEMA proto_versions CASCADE;

-- names that would end what they stand in: whatever text stands in a comment, it is one
-- line that no comment of any language ends in
SET client_min_messages = error;
CREATE SCHEMA hostile;
SET search_path = hostile;
CREATE TABLE victim ();
CREATE TABLE evil AS SELECT U&'x\000A;DROP TABLE victim;--\000D*/ /*\0085\2028\2029\202E\2066\200B\FEFF" ''`\0001' AS name;
CREATE TABLE generated (what text, code text);
DO $$
DECLARE
  n text := (SELECT name FROM evil);
  t regclass;
BEGIN
  EXECUTE format('CREATE TYPE %I AS ENUM (%L)', 't' || n, n);
  EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, %I int, %I int, %I %I)', n, 'c' || n, 'd' || n, n, 't' || n);
  t := format('%I', n)::regclass;
  EXECUTE format('COMMENT ON TABLE %s IS %L', t, n);
  EXECUTE format('COMMENT ON COLUMN %s.id IS %L', t, n);
  PERFORM cdc.register(t);
  EXECUTE format('ALTER TABLE %s DROP COLUMN %I, ALTER COLUMN %I TYPE text', t, 'c' || n, 'd' || n);
  INSERT INTO generated VALUES ('proto', cdc.proto(t)), ('proto 1', cdc.proto(t, 1)), ('sql', cdc.converter(t, 1, 2, 'sql')),
    ('go', cdc.converter(t, 1, 2, 'go')), ('rust', cdc.converter(t, 2, 1, 'rust'));
  PERFORM cdc.unregister(t);
END $$;
CREATE VIEW line AS
SELECT what, comment, rest
FROM generated, regexp_split_to_table(code, E'\n') line,
  substring(line FROM CASE what WHEN 'sql' THEN '--(?: TODO| not|.*rows of).*' ELSE '//.*' END) comment,
  replace(line, coalesce(comment, ''), '') rest;
SELECT what, count(comment) > 2 AS comments, bool_or(comment ~ ';DROP TABLE victim;') AS has_the_name,
  bool_or(comment ~ U&'[\0001-\001F\007F-\009F\061C\200B-\200F\2028-\202E\2060-\206F\FEFF]') AS odd,
  bool_or(comment ~ '/[*]|[*]/') AS ends, bool_or(what <> 'sql' AND rest ~ 'DROP |--') AS outside
FROM line GROUP BY what ORDER BY what;
-- it is a statement of SQL, and no more than one
DO $$
DECLARE
  n text := (SELECT name FROM evil);
BEGIN
  EXECUTE format('CREATE TABLE %I (id int, %I text, %I %I)', n || '_v2', 'd' || n, n, 't' || n);
  EXECUTE format('ALTER TABLE %I RENAME TO %I', n, n || '_v1');
  EXECUTE (SELECT code FROM generated WHERE what = 'sql');
END $$;
SELECT count(*) FROM victim;
-- a long name keeps its version
CREATE TABLE long_name_012345678901234567890123456789012345678901234567890 (id int);
SELECT cdc.register('long_name_012345678901234567890123456789012345678901234567890', 'none');
SELECT substring(cdc.converter('long_name_012345678901234567890123456789012345678901234567890', 1, 1, 'sql') FROM 'INTO [^\n]*');
SELECT cdc.unregister('long_name_012345678901234567890123456789012345678901234567890');
RESET search_path;
DROP SCHEMA hostile CASCADE;
