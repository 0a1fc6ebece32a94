-- Code that an ordinary user can attach to a table or type, and who runs it: see the table in
-- docs/security.md. spy() says that it was called, and by whom.
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE cdc_regress_author;
CREATE SCHEMA author AUTHORIZATION cdc_regress_author;
GRANT USAGE ON SCHEMA cdc TO cdc_regress_author;
SELECT slot_name FROM cdc.create_slot('cdc_regress_whose');
SET ROLE cdc_regress_author;
SET search_path = author, public;
CREATE FUNCTION author.spy(what text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RAISE NOTICE '%: %', what, current_user; RETURN true; END $$;
CREATE FUNCTION author.on_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM author.spy('trigger'); RETURN NEW; END $$;
CREATE FUNCTION author.same(int, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM author.spy('operator'); RETURN $1 = $2; END $$;
CREATE OPERATOR author.= (LEFTARG = int, RIGHTARG = int, FUNCTION = author.same);
CREATE FUNCTION author.cast_it(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM author.spy('cast'); RETURN 1; END $$;
CREATE FUNCTION author.diff(int, int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN PERFORM author.spy('difference of a range'); RETURN $1 - $2; END $$;
CREATE TYPE author.span AS RANGE (subtype = int, subtype_diff = author.diff);
CREATE DOMAIN author.checked AS int CHECK (author.spy('domain'));
CREATE TYPE author.pair AS (c author.checked, cs author.checked[]);
SET client_min_messages = warning;
CREATE TABLE author.t (
  id author.checked PRIMARY KEY,
  c author.checked DEFAULT CASE WHEN author.spy('default') THEN 2 END CHECK (author.spy('check')),
  cs author.checked[], p author.pair, s author.span,
  g int GENERATED ALWAYS AS (CASE WHEN author.spy('generated') THEN 3 END) STORED);
CREATE INDEX ON author.t ((author.spy('index expression'))) WHERE author.spy('index predicate');
CREATE INDEX ON author.t USING gist (s);
CREATE TRIGGER t AFTER INSERT OR UPDATE ON author.t FOR EACH ROW EXECUTE FUNCTION author.on_row();
ALTER TABLE author.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON author.t USING (author.spy('policy'));
INSERT INTO author.t (id, cs, p, s) VALUES (1, '{1}', ROW(1, '{2}'), '[1,2)');
UPDATE author.t SET c = 5;
ALTER TABLE author.t ADD m author.checked DEFAULT 7;
INSERT INTO author.t (id) VALUES (2);
RESET client_min_messages;
-- what runs while values are sent cannot be written by an ordinary user: output functions,
-- and functions in filters of rows
CREATE TYPE author.base;
CREATE FUNCTION author.shown(author.span) RETURNS cstring LANGUAGE sql AS $$ SELECT 'x' $$;
CREATE CAST (text AS int) WITH FUNCTION author.cast_it(text);
RESET ROLE;
CREATE PUBLICATION cdc_regress_whose FOR TABLE author.t WHERE (author.spy('filter'));
CREATE PUBLICATION cdc_regress_whose FOR TABLE author.t WHERE (id OPERATOR(author.=) 1);
CREATE PUBLICATION cdc_regress_whose FOR TABLE author.t WHERE (c > 0);

-- streams: nothing of it runs
SELECT op, key->>'id' AS id, new->>'p' AS p FROM cdc.peek('cdc_regress_whose') WHERE relation = 'author.t';
SELECT count(*) > 1 AS fetched FROM cdc.fetch('cdc_regress_whose');
SELECT count(*) > 1 AS streamed FROM pg_logical_slot_peek_binary_changes('cdc_regress_whose', NULL, NULL, 'streaming', 'on');
-- schemas: nothing
SELECT length(cdc.fingerprint('author.t')), cdc.table_schema('author.t') IS NOT NULL AS schema, cdc.proto('author.t') ~ 'int32' AS proto;
-- rules: nothing
SELECT cdc.redact('author.t', 'c', 'mask') AS rule \gset
SELECT count(*) >= 0 AS reported FROM cdc.redaction_report();
SELECT count(*) >= 0 AS reported FROM cdc.security_report();
SELECT op, new->>'c' AS c FROM cdc.peek('cdc_regress_whose') WHERE relation = 'author.t';
SELECT cdc.unredact(:rule);
-- a snapshot: nothing but what the planner evaluates of indexes, for which see snapshot_owner;
-- the domain of a key is not asked
SET client_min_messages = warning;
DROP INDEX author.t_spy_idx;
RESET client_min_messages;
SELECT count(*) FROM cdc.snapshot('author.t');
SELECT count(*) FROM cdc.snapshot('author.t', '{1}', '{2}');
SELECT count(*) FROM cdc.snapshot_chunks('author.t', 1);

SELECT cdc.drop_slot('cdc_regress_whose');
SET client_min_messages = warning;
RESET search_path;
DROP SCHEMA author CASCADE;
DROP OWNED BY cdc_regress_author;
DROP ROLE cdc_regress_author;
