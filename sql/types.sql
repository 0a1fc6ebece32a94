-- Every type that has an encoding of its own, at its limits.
SELECT slot_name FROM cdc.create_slot('cdc_regress_types');

CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'größer');
CREATE DOMAIN positive AS numeric CHECK (value > 0);
CREATE DOMAIN nested AS positive;

CREATE TABLE numbers (id int PRIMARY KEY, b bool, s int2, i int4, l int8, o oid, r real, d float8, n numeric, p nested);
INSERT INTO numbers VALUES
  (1, true, 32767, 2147483647, 9223372036854775807, 4294967295, '3.4028235e38', '1.7976931348623157e308', 'NaN', 1.50),
  (2, false, -32768, -2147483648, -9223372036854775808, 0, '1e-45', '5e-324', 'Infinity', 12345678901234567890.123456789),
  (3, NULL, 0, 0, 0, NULL, '-0', '-0', '-Infinity', NULL),
  (4, NULL, -1, -1, -1, 1, 'NaN', 'NaN', 0, 1e-20),
  (5, NULL, 1, 1, 1, 2, 'Infinity', '-Infinity', -0.000, 100),
  (6, NULL, 63, 64, -65, 127, 0.1, 0.1, 1e20, 1),
  (7, NULL, NULL, NULL, NULL, NULL, 1e6, 1e15, 123456789.00, 1),
  (8, NULL, NULL, NULL, NULL, NULL, 999999, 999999999999999, 0.1, 1),
  (9, NULL, NULL, NULL, NULL, NULL, 0.0001, 0.00001, repeat('9', 50)::numeric, 1);
SELECT changes('cdc_regress_types');

CREATE TABLE texts (id int PRIMARY KEY, t text, v varchar(10), c char(5), n name, k "char", m mood);
INSERT INTO texts VALUES
  (1, '', '', '', '', '', 'sad'),
  (2, E'quote " backslash \\ tab \t newline \n return \r bell \x07 del \x7f', 'größe', 'ab', 'naïve', 'x', 'it''s "ok"'),
  (3, '日本語 🐘', '🐘', '🐘', 'ñ', '\', 'größer'),
  (4, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT changes('cdc_regress_types');

CREATE TABLE documents (id int PRIMARY KEY, j json, b jsonb, y bytea, u uuid);
INSERT INTO documents VALUES
  (1, ' { "b" : 1.50, "a" : [ 1, 2 ], "b" : " kept  " } ', ' { "b" : 1.50, "a" : [ 1, 2 ] } ', '\x', '00000000-0000-0000-0000-000000000000'),
  (2, 'null', 'null', '\x00ff0a', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
  (3, '"\u00e9\n\\ \" "', '"\u00e9\n\\ \" "', '\x0a', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
  (4, NULL, NULL, NULL, NULL);
SELECT changes('cdc_regress_types');

SET timezone = 'Asia/Kolkata';
CREATE TABLE times (id int PRIMARY KEY, t timestamp, z timestamptz, d date, c time);
INSERT INTO times VALUES
  (1, '2000-01-01', '2000-01-01 00:00+00', '2000-01-01', '00:00'),
  (2, 'infinity', 'infinity', 'infinity', '24:00'),
  (3, '-infinity', '-infinity', '-infinity', '23:59:59.999999'),
  (4, '4713-11-24 00:00:00 BC', '4713-11-25 00:00:00+00 BC', '4713-11-24 BC', '00:00:00.000001'),
  (5, '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '5874897-12-31', '12:00:00.5'),
  (6, '1969-12-31 23:59:59.9', '1999-12-31 23:59:59.999999+00', '1999-12-31', NULL),
  (7, '0001-01-01 00:00:00', '0001-12-31 23:59:59+00 BC', '0001-01-01 BC', NULL);
SELECT changes('cdc_regress_types');
RESET timezone;

-- Arrays, also of several dimensions and from other numbers than 1; elements
-- of types that are not plain numbers, bytes or strings are their text.
CREATE TABLE arrays (id int PRIMARY KEY, b bool[], s int2[], i int[], l int8[], o oid[], r real[], d float8[], n numeric[],
                     t text[], j jsonb[], y bytea[], u uuid[], z timestamptz[], iv interval[], m mood[], bx box[], iv2 int2vector);
INSERT INTO arrays VALUES
  (1, '{t,NULL,f}', '{-1,0,32767}', '{1,NULL,3}', '{9223372036854775807}', '{4294967295}', '{1.5,NaN,NULL}', '{-0,Infinity}', '{1.50,NaN}',
   '{"a b",NULL,"q\"q",""}', '{"{\"a\": 1}","null"}', '{"\\x00ff",NULL}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}',
   '{"2020-01-01 10:00+00",infinity}', '{"1 mon 2 days"}', '{sad}', '{(1,1),(0,0)}', '1 2'),
  (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', ''),
  (3, '[0:1]={t,f}', '{{1,2},{3,4}}', '[2:3][1:2]={{1,NULL},{3,4}}', '{{{1}}}', NULL, '[-1:0]={0.1,NaN}', NULL, '[5:5]={1.50}',
   '[2:6]={"a b",NULL,"q\"q","","null"}', NULL, '[3:3]={"\\x5c22"}', '[0:0]={a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', NULL, NULL, NULL, NULL, NULL);
SELECT changes('cdc_regress_types');
SELECT c->>'name' AS name, c->>'type' AS type, c->>'element' AS element, c->>'pg_type' AS pg_type
FROM jsonb_array_elements(cdc.table_schema('arrays')->'columns') c;
SELECT cdc.proto('arrays');

-- Everything else is its text.
CREATE TYPE pair AS (a int, b text);
CREATE TABLE others (id int PRIMARY KEY, tz timetz, iv interval, ia int[], ta text[], co pair, ra int4range, mr nummultirange,
                     pt point, ip inet, bi bit(3), mo money, lsn pg_lsn, tsv tsvector, x8 xid8, rc regclass);
INSERT INTO others VALUES
  (1, '12:00:00+05:30', '1 year 2 mons -3 days 04:05:06.7', '{1,NULL,3}', '{"a b",NULL,"q\"q"}', '(1,"x y")', '[1,5)', '{[1.5,2.5)}',
   '(1.5,-0.1)', '10.0.0.0/8', B'101', '12.34', '16/B374D848', 'a:1 b:2', '12345678901', 'pg_class'),
  (2, NULL, NULL, '[2:3][1:2]={{1,2},{3,4}}', '{}', NULL, 'empty', '{}', NULL, '::1', NULL, NULL, NULL, '', NULL, NULL);
SELECT changes('cdc_regress_types');

-- Output never depends on the session.
SET datestyle = 'German, DMY'; SET intervalstyle = 'sql_standard'; SET timezone = 'America/New_York';
SET extra_float_digits = -15; SET bytea_output = 'escape'; SET quote_all_identifiers = on;
SET search_path = pg_catalog, public;
INSERT INTO public.numbers (id, r, d) VALUES (10, 0.1, 0.1::float8 + 0.2);
INSERT INTO public.documents (id, y) VALUES (10, '\x00ff');
INSERT INTO public.times (id, t, z, d) VALUES (10, '2020-02-01 10:00', '2020-02-01 10:00+00', '2020-02-01');
INSERT INTO public.others (id, iv, pt, ra, rc, co, tz) VALUES (10, '1 year 2 days', '(0.1,0.2)', '[1,2)', 'public.numbers', '(1,x)', '10:00-03');
SELECT public.changes('cdc_regress_types');
-- and does not change it
SHOW datestyle;
SHOW search_path;
SHOW timezone;
RESET datestyle; RESET intervalstyle; RESET timezone; RESET extra_float_digits; RESET bytea_output; RESET quote_all_identifiers; RESET search_path;

-- A value that cannot be written becomes an event that says so, and the
-- stream goes on. (The output function of enums fails on other numbers.)
SET client_min_messages = warning;
CREATE TYPE broken;
CREATE FUNCTION broken_in(cstring) RETURNS broken LANGUAGE internal IMMUTABLE STRICT AS 'oidin';
CREATE FUNCTION broken_out(broken) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'enum_out';
CREATE TYPE broken (INPUT = broken_in, OUTPUT = broken_out, INTERNALLENGTH = 4, PASSEDBYVALUE);
RESET client_min_messages;
CREATE TABLE failing (id int PRIMARY KEY, ok text, bad broken);
ALTER TABLE failing REPLICA IDENTITY FULL;
BEGIN;
INSERT INTO failing VALUES (1, 'before', NULL);
INSERT INTO failing VALUES (2, 'the value stays out of messages', '4711');
UPDATE failing SET ok = 'old value fails' WHERE id = 2;
UPDATE failing SET ok = 'now it does not', bad = NULL WHERE id = 2;
DELETE FROM failing WHERE id = 1;
COMMIT;
\set VERBOSITY terse
SELECT count(*) FROM pg_logical_slot_peek_changes('cdc_regress_types', NULL, NULL, 'on_error', 'stop', 'format', 'json');
\set VERBOSITY default
SELECT changes('cdc_regress_types');
-- also when the key itself fails, and in a default of older rows
CREATE TABLE failing_key (id broken, t text);
ALTER TABLE failing_key REPLICA IDENTITY FULL;
INSERT INTO failing_key VALUES ('1', 'x');
INSERT INTO failing (id) VALUES (3);
ALTER TABLE failing ADD COLUMN d broken DEFAULT '5';
UPDATE failing SET ok = 'x' WHERE id = 3;
SELECT changes('cdc_regress_types');
-- the key of what cannot be written is that of the event it stands for: without a replica
-- identity none of an UPDATE, and of an UPDATE that a filter has turned into an INSERT the new one
CREATE TABLE failing_which (id int PRIMARY KEY, ok boolean, bad broken);
ALTER TABLE failing_which REPLICA IDENTITY NOTHING;
INSERT INTO failing_which VALUES (1, false, '4711');
UPDATE failing_which SET ok = NULL;
SELECT changes('cdc_regress_types');
ALTER TABLE failing_which REPLICA IDENTITY FULL;
CREATE PUBLICATION cdc_regress_failing FOR TABLE failing_which WHERE (ok);
UPDATE failing_which SET id = 2, ok = true;
UPDATE failing_which SET id = 3, bad = '4712';
UPDATE failing_which SET id = 4, ok = false;
SELECT changes('cdc_regress_types', 'publication_names', 'cdc_regress_failing');
DROP PUBLICATION cdc_regress_failing;

SELECT cdc.drop_slot('cdc_regress_types');
DROP TABLE arrays, numbers, texts, documents, times, others, failing, failing_key, failing_which;
SET client_min_messages = warning;
DROP TYPE broken CASCADE;
RESET client_min_messages;
DROP TYPE mood, pair;
DROP DOMAIN nested, positive;
