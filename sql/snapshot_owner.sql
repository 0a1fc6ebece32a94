-- cdc.snapshot() runs what a table's owner may have written as that owner.
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE cdc_regress_giver;
CREATE ROLE cdc_regress_taker;
CREATE SCHEMA giver AUTHORIZATION cdc_regress_giver;
GRANT USAGE ON SCHEMA giver TO PUBLIC;
GRANT USAGE ON SCHEMA cdc TO cdc_regress_giver, cdc_regress_taker;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO cdc_regress_taker;
GRANT EXECUTE ON FUNCTION cdc.grant_read TO cdc_regress_giver;
CREATE FUNCTION keys(relation regclass, from_key text[] DEFAULT NULL, to_key text[] DEFAULT NULL, slot name DEFAULT NULL, options text[] DEFAULT '{}')
RETURNS SETOF json LANGUAGE sql AS $$
  SELECT cdc.decode_json((SELECT string_agg(b, '') FROM cdc.snapshot(relation, from_key, to_key, NULL, NULL, options, slot) b))->'key'
$$;
SET ROLE cdc_regress_giver;
CREATE FUNCTION giver.spy(value text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'a check runs as %, with %', current_user, current_setting('search_path');
  PERFORM set_config('role', 'none', false);
  RAISE NOTICE 'and is now %', current_user;
  RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE '%', sqlerrm;
  RETURN true;
END $$;
-- the key's own domain is not asked
CREATE DOMAIN giver.plain AS int CHECK (giver.spy(value::text));
CREATE TABLE giver.t (id giver.plain PRIMARY KEY, v text);
-- one within the key's type is, by its input function
CREATE DOMAIN giver.element AS text CHECK (giver.spy(value));
CREATE TABLE giver.nested (id giver.element[] PRIMARY KEY);
SET client_min_messages = warning;
INSERT INTO giver.t VALUES (1, 'a'), (2, 'b');
INSERT INTO giver.nested VALUES ('{a}'), ('{b}');
RESET client_min_messages;
SELECT cdc.grant_read('giver.t', 'cdc_regress_taker'), cdc.grant_read('giver.nested', 'cdc_regress_taker');
SET ROLE cdc_regress_taker;
SET search_path = public;
SELECT keys('giver.t', '{2}');
SELECT keys('giver.nested', ARRAY['{b}'], ARRAY['{c}']);
RESET ROLE;
-- whoever calls, a superuser too
SELECT keys('giver.nested', ARRAY['{b}']);
SELECT from_key, to_key FROM cdc.snapshot_chunks('giver.nested', 1);
RESET search_path;
SELECT current_user = session_user AS myself, current_setting('row_security');

-- functions in an index, which the planner evaluates
SET ROLE cdc_regress_giver;
CREATE FUNCTION giver.sentry(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RAISE NOTICE 'a function of an index runs as %', current_user;
  RETURN true;
END $$;
CREATE TABLE giver.indexed (id int PRIMARY KEY, v int);
SET client_min_messages = warning;
CREATE INDEX ON giver.indexed (v) WHERE giver.sentry(0);
RESET client_min_messages;
RESET ROLE;
SELECT keys('giver.indexed', '{1}');

-- what the owner may read of the table is no matter: what the caller may be sent is
SET ROLE cdc_regress_giver;
CREATE TABLE giver.locked (id int PRIMARY KEY);
INSERT INTO giver.locked VALUES (1), (2);
SELECT cdc.grant_read('giver.locked', 'cdc_regress_taker');
REVOKE ALL ON giver.locked FROM cdc_regress_giver;
ALTER TABLE giver.locked ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY one ON giver.locked USING (id = 1);
SELECT * FROM giver.locked;
SET ROLE cdc_regress_taker;
SELECT keys('giver.locked');
SELECT from_key, to_key FROM cdc.snapshot_chunks('giver.locked', 1);
RESET ROLE;
SELECT keys('giver.locked');
-- SELECT alone under row security is not enough, and with a grant the policy does not count
CREATE ROLE cdc_regress_reader;
GRANT USAGE ON SCHEMA cdc, giver TO cdc_regress_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO cdc_regress_reader;
GRANT SELECT ON giver.locked TO cdc_regress_reader;
SET ROLE cdc_regress_reader;
SELECT keys('giver.locked');
SELECT count(*) FROM cdc.snapshot_chunks('giver.locked');
RESET ROLE;
SELECT cdc.grant_read('giver.locked', 'cdc_regress_reader');
SET ROLE cdc_regress_reader;
SELECT keys('giver.locked');
-- where no row security applies, SELECT is enough
RESET ROLE;
SELECT cdc.revoke_read('giver.locked', 'cdc_regress_reader');
ALTER TABLE giver.locked DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
SET ROLE cdc_regress_reader;
SELECT keys('giver.locked');
RESET ROLE;

-- an ERROR on the way gives the caller's identity and settings back
SET search_path = public;
SET ROLE cdc_regress_taker;
DO $$ BEGIN PERFORM cdc.snapshot('giver.t', '{x}'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE '% %', current_user, sqlerrm; END $$;
SELECT current_user, current_setting('search_path'), current_setting('row_security');
RESET ROLE;
RESET search_path;

-- between two batches the caller is itself, and cannot find the cursor
SET ROLE cdc_regress_taker;
SELECT current_user, (SELECT count(*) FROM pg_cursors WHERE statement ~ 'giver') AS cursors, length(b) > 0 AS batch
FROM (SELECT cdc.snapshot('giver.t', options => '{batch_bytes,1}') AS b OFFSET 0) x;
RESET ROLE;

-- keys that a rule on a partition hides are not the ends of ranges
CREATE TABLE giver.leaf (more text, ssn text PRIMARY KEY);
SELECT cdc.redact('giver.leaf', 'ssn', 'hash') AS rule \gset
INSERT INTO giver.leaf VALUES ('x', '111'), ('y', '222');
CREATE TABLE giver.root (ssn text PRIMARY KEY, more text) PARTITION BY RANGE (ssn);
CREATE TABLE giver.middle PARTITION OF giver.root FOR VALUES FROM (MINVALUE) TO (MAXVALUE) PARTITION BY RANGE (ssn);
ALTER TABLE giver.middle ATTACH PARTITION giver.leaf FOR VALUES FROM (MINVALUE) TO ('5');
CREATE TABLE giver.bare PARTITION OF giver.middle FOR VALUES FROM ('5') TO (MAXVALUE);
INSERT INTO giver.root VALUES ('777', 'z'), ('888', 'z');
SELECT cdc.grant_read('giver.root', 'cdc_regress_taker');
SET ROLE cdc_regress_taker;
SELECT * FROM cdc.snapshot_chunks('giver.root', 1);
SELECT * FROM cdc.snapshot_chunks('giver.middle', 1);
SELECT * FROM cdc.snapshot_chunks('giver.leaf', 1);
SELECT * FROM cdc.snapshot_chunks('giver.bare', 1);
RESET ROLE;

-- the reader of a slot is sent what is stored for it
CREATE PUBLICATION cdc_regress_some FOR TABLE giver.locked WHERE (id = 1);
SELECT slot_name FROM cdc.create_slot('cdc_regress_taken', options => '{publication_names,cdc_regress_some}', reader => 'cdc_regress_taker');
SELECT slot_name FROM cdc.create_slot('cdc_regress_free');
SET ROLE cdc_regress_taker;
SELECT keys('giver.locked');
SELECT keys('giver.locked', NULL, NULL, 'cdc_regress_taken');
SELECT keys('giver.t');
SELECT keys('giver.locked', NULL, NULL, 'cdc_regress_free');
SELECT keys('giver.locked', NULL, NULL, NULL, '{publication_names,cdc_regress_all}');
SELECT keys('giver.locked', NULL, NULL, 'cdc_regress_taken', '{tables,giver.*}');
SELECT count(*) FROM cdc.snapshot('giver.locked', options => '{batch_bytes,100}');
RESET ROLE;
SELECT slot_name FROM cdc.create_slot('cdc_regress_taken2', reader => 'cdc_regress_taker');
SET ROLE cdc_regress_taker;
SELECT keys('giver.locked');
SELECT keys('giver.locked', NULL, NULL, 'cdc_regress_taken2');
RESET ROLE;
-- superusers are bound by nothing
CREATE PUBLICATION cdc_regress_all FOR TABLE giver.locked;
SELECT keys('giver.locked', NULL, NULL, 'cdc_regress_taken', '{publication_names,cdc_regress_all}');
DROP PUBLICATION cdc_regress_all;

SELECT cdc.drop_slot('cdc_regress_taken'), cdc.drop_slot('cdc_regress_taken2'), cdc.drop_slot('cdc_regress_free');
SELECT cdc.unredact(:rule);
DROP PUBLICATION cdc_regress_some;
SET client_min_messages = warning;
DROP SCHEMA giver CASCADE;
DROP OWNED BY cdc_regress_giver, cdc_regress_taker, cdc_regress_reader;
DROP ROLE cdc_regress_giver, cdc_regress_taker, cdc_regress_reader;
DROP FUNCTION keys;
