-- What DDL makes of tables, as events of the stream.
SET cdc.track_schema = on;
SET client_min_messages = warning;
SELECT slot_name FROM cdc.create_slot('schema_changes');
-- With the columns of the schema, and what is key of them.
CREATE FUNCTION events(VARIADIC options text[] DEFAULT '{}')
RETURNS TABLE (op text, relation text, change text, command text, former text, "row" text) LANGUAGE sql AS $$
  SELECT e->>'op', e->>'relation', e->>'change', e->>'command', e->>'former_relation',
    concat_ws(' ', e->'key', e->'old', e->'new')
  FROM pg_logical_slot_get_changes('schema_changes', NULL, NULL, VARIADIC ARRAY['format', 'json', 'messages', '*'] || options) c,
    LATERAL (SELECT c.data::jsonb) j(e)
  WHERE e ? 'op' AND e->>'op' <> 'COMMITTED'
$$;

-- made, altered, renamed, dropped
CREATE TABLE t (id int PRIMARY KEY, a text);
ALTER TABLE t ADD COLUMN b int;
INSERT INTO t VALUES (1, 'a', 1);
ALTER TABLE t RENAME COLUMN a TO c;
ALTER TABLE t RENAME TO u;
INSERT INTO u VALUES (2, 'b', 2);
DROP TABLE u;
CREATE TABLE u (id int);
INSERT INTO u VALUES (3);
DROP TABLE u;
SELECT * FROM events();

-- nothing that a reader would see
CREATE TABLE t (id int PRIMARY KEY, a text);
SELECT * FROM events();
CREATE INDEX t_a ON t (a);
GRANT SELECT ON t TO public;
ALTER TABLE t OWNER TO CURRENT_USER;
ALTER TABLE t ALTER COLUMN a SET DEFAULT 'x', ALTER COLUMN a SET STORAGE EXTERNAL, ADD CHECK (id > 0);
COMMENT ON TABLE t IS 'of test';
ALTER TABLE t CLUSTER ON t_pkey;
CREATE VIEW v AS SELECT * FROM t;
CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
CREATE UNLOGGED TABLE n (id int);
CREATE SEQUENCE sq;
CREATE TEMP TABLE temporary (id int);
ALTER TABLE temporary ADD COLUMN a text;
DROP TABLE temporary;
DROP INDEX t_a;
DROP VIEW v;
DROP MATERIALIZED VIEW m;
DROP TABLE n;
DROP SEQUENCE sq;
SELECT * FROM events();

-- keys and identities
ALTER TABLE t DROP CONSTRAINT t_pkey;
ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY (a);
ALTER TABLE t REPLICA IDENTITY FULL;
CREATE UNIQUE INDEX i ON t (id, a);
ALTER TABLE t REPLICA IDENTITY USING INDEX i;
ALTER TABLE t REPLICA IDENTITY NOTHING;
ALTER TABLE t ALTER COLUMN id DROP NOT NULL;
DROP INDEX i;
SELECT * FROM events();

-- a default that VACUUM FULL makes the server forget is told before
ALTER TABLE t REPLICA IDENTITY DEFAULT;
ALTER TABLE t ADD COLUMN d int DEFAULT 5;
VACUUM FULL t;
-- a rewrite of no rows
TRUNCATE t;
ALTER TABLE t ALTER COLUMN d TYPE text;
SELECT * FROM events();
DROP TABLE t;

-- all that makes tables
CREATE SCHEMA made CREATE TABLE a (id int) CREATE TABLE b (id int);
CREATE TABLE made.c (LIKE made.a);
CREATE TABLE made.d () INHERITS (made.c);
CREATE TYPE made.pair AS (x int, y int);
CREATE TABLE made.e OF made.pair;
CREATE TABLE made.f AS SELECT 1 AS one;
SELECT 2 AS two INTO made.g;
CREATE TABLE made.h AS SELECT 1 AS one WITH NO DATA;
CREATE TABLE made.p (id int) PARTITION BY LIST (id);
CREATE TABLE made.p1 PARTITION OF made.p FOR VALUES IN (1);
SELECT * FROM events();
-- and changes what stands below
ALTER TABLE made.c ADD COLUMN more int;
ALTER TYPE made.pair ADD ATTRIBUTE z int CASCADE;
ALTER TABLE made.p ADD COLUMN more int;
ALTER TABLE made.p DETACH PARTITION made.p1;
ALTER TABLE made.p ATTACH PARTITION made.p1 FOR VALUES IN (1);
ALTER SCHEMA made RENAME TO made2;
SELECT * FROM events();
ALTER TABLE made2.a SET SCHEMA public;
DROP TABLE made2.c CASCADE;
DROP SCHEMA made2 CASCADE;
DROP TABLE a;
SELECT * FROM events();

-- types
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE DOMAIN moods AS mood[];
CREATE TYPE pair AS (a int, m mood);
CREATE TABLE t (id int, m mood, ms moods, p pair);
CREATE TABLE other (id int);
SELECT * FROM events();
ALTER TYPE mood ADD VALUE 'so';
ALTER TYPE mood RENAME VALUE 'sad' TO 'gloomy';
ALTER TYPE mood RENAME TO feeling;
ALTER DOMAIN moods RENAME TO feelings;
ALTER TYPE pair ADD ATTRIBUTE b int;
ALTER TYPE pair RENAME ATTRIBUTE b TO c;
ALTER TABLE t DROP COLUMN p;
SELECT * FROM events();
DROP TYPE feeling CASCADE;
SELECT * FROM events();
DROP TABLE t, other;
DROP TYPE pair;

-- inside transactions: in its place, whatever subtransaction did it
CREATE TABLE t (id int);
CREATE FUNCTION alter_t(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE t RENAME TO %I', name);
  EXECUTE format('INSERT INTO %I VALUES (10)', name);
  EXECUTE format('ALTER TABLE %I RENAME TO t', name);
END $$;
SELECT FROM events();
BEGIN;
INSERT INTO t VALUES (1);
SAVEPOINT a;
ALTER TABLE t ADD COLUMN a int;
INSERT INTO t VALUES (2, 2);
ROLLBACK TO a;
INSERT INTO t VALUES (3);
SAVEPOINT b;
ALTER TABLE t ADD COLUMN b int;
RELEASE b;
INSERT INTO t VALUES (4, 4);
DO $$
BEGIN
  INSERT INTO t VALUES (5, 5);
  BEGIN
    ALTER TABLE t DROP COLUMN b;
    INSERT INTO t VALUES (6);
    RAISE EXCEPTION 'undone';
  EXCEPTION WHEN others THEN
    INSERT INTO t VALUES (7, 7);
  END;
  ALTER TABLE t DROP COLUMN b, ADD COLUMN c int DEFAULT 3;
  INSERT INTO t VALUES (8, 8);
END $$;
SELECT alter_t('passing');
-- names are exchanged
CREATE TABLE o (id int, o text);
ALTER TABLE t RENAME TO x;
ALTER TABLE o RENAME TO t;
ALTER TABLE x RENAME TO o;
INSERT INTO t VALUES (11, 'o');
INSERT INTO o VALUES (12);
DROP TABLE t;
CREATE TABLE t (other text);
INSERT INTO t VALUES ('13');
COMMIT;
SELECT * FROM events();
-- made and gone at once, so that nobody need hear of it; and two in one statement
BEGIN;
CREATE TABLE brief (id int);
INSERT INTO brief VALUES (1);
DROP TABLE brief;
COMMIT;
ALTER TABLE t ADD COLUMN a int, ADD COLUMN b int;
SELECT * FROM events();

-- selection: what comes into it and leaves it
CREATE PUBLICATION p FOR TABLE t;
SELECT FROM events();
INSERT INTO o VALUES (20);
ALTER PUBLICATION p ADD TABLE o;
INSERT INTO o VALUES (21);
ALTER PUBLICATION p SET TABLE o (id);
ALTER PUBLICATION p DROP TABLE o;
INSERT INTO o VALUES (22);
SELECT * FROM events('publication_names', 'p');
DROP PUBLICATION p;
CREATE PUBLICATION p FOR TABLES IN SCHEMA public;
ALTER TABLE o RENAME TO o2;
ALTER TABLE o2 RENAME TO o;
SELECT * FROM events('tables', 'public.o');
DROP PUBLICATION p;
ALTER TABLE o SET UNLOGGED;
ALTER TABLE o SET LOGGED;
SELECT * FROM events('tables', 'public.o');
CREATE PUBLICATION p FOR ALL TABLES;
SELECT * FROM events('publication_names', 'p', 'tables', 'public.o');
DROP PUBLICATION p;

-- off: by the option, and by the setting
ALTER TABLE o ADD COLUMN off int;
SELECT * FROM events('schema_changes', 'off');
SET cdc.track_schema = off;
ALTER TABLE o ADD COLUMN off2 int;
SET cdc.track_schema = on;
INSERT INTO o (id) VALUES (30);
-- what it did is told with the next command
ALTER TABLE o ADD COLUMN on3 int;
SELECT * FROM events();
CREATE ROLE schema_changes_user;
SET ROLE schema_changes_user;
SET cdc.track_schema = off;
RESET ROLE;

-- who forges a message, or repeats one of another transaction, says nothing
SELECT count(*) FROM pg_logical_emit_message(true, 'cdc.schema', 'forged');
SELECT count(*) FROM pg_logical_emit_message(true, 'cdc.schema', repeat('x', 100));
SELECT count(*) FROM pg_logical_emit_message(true, 'cdc.schema', '');
SELECT * FROM events();

-- SQL functions show it
ALTER TABLE o DROP COLUMN on3;
DROP TABLE o;
SELECT op, relation, key, event->>'change' AS change, event->>'former_relation' AS former
FROM cdc.peek('schema_changes');
-- what is open in the session that reads stays what it is
CREATE TABLE taken (a int);
ALTER TABLE taken ADD COLUMN op text;
CREATE INDEX ON taken (op);
INSERT INTO taken (op) SELECT op FROM cdc.peek('schema_changes');
ALTER TABLE taken DROP COLUMN a, ADD COLUMN change text DEFAULT 'none';
INSERT INTO taken SELECT op, event->>'change' FROM cdc.peek('schema_changes');
SELECT count(*), count(*) FILTER (WHERE change = 'none') FROM taken;
CREATE TABLE taken2 AS SELECT op, event->>'change' AS change, relation FROM cdc.read('schema_changes');
SELECT * FROM taken2;
DROP TABLE taken, taken2;
SELECT cdc.drop_slot('schema_changes');
DROP TABLE t;
DROP FUNCTION events;
DROP FUNCTION alter_t;
DROP ROLE schema_changes_user;
