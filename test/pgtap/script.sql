-- The install script: nothing in it is looked up where somebody else may have put something.
BEGIN;
SELECT no_plan();

CREATE TEMP VIEW object AS
  SELECT classid, objid FROM pg_depend
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cdc');

-- what views, constraints, defaults and triggers were resolved to, where that is another's
CREATE TEMP VIEW foreign_object AS
  WITH RECURSIVE inner_object(classid, objid) AS (
    SELECT * FROM object
    UNION
    SELECT d.classid, d.objid FROM inner_object o JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
    WHERE d.deptype IN ('a', 'i', 'P', 'S'))
  SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), i.type, i.identity
  FROM inner_object o JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('n', 'a', 'i'),
    pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) i
  WHERE coalesce(i.schema, '') NOT IN ('cdc', 'pg_catalog', 'pg_toast')
    AND i.identity <> 'cdc' AND i.identity NOT LIKE '%cdc.%' AND i.type NOT IN ('language', 'extension');
SELECT is_empty('SELECT * FROM foreign_object', 'what it has made depends on pg_catalog and its own objects alone');

CREATE TEMP TABLE file AS
  SELECT pg_read_file(setting || '/extension/cdc--' || extversion || '.sql') AS text
  FROM pg_config, pg_extension WHERE name = 'SHAREDIR' AND extname = 'cdc';
-- statements, without the bodies of functions and comments
CREATE TEMP TABLE script AS
  SELECT regexp_replace(regexp_replace(regexp_replace(text,
    '\$\$.*?\$\$', '$$$$', 'g'), '(^|\n)\s*--[^\n]*', '\1', 'g'), '''([^'']|'''')*''', '''''', 'g') AS text
  FROM file;
SELECT ok(text ~ '^\s*\\echo [^\n]*\\quit\s+CREATE SCHEMA cdc;\s+REVOKE ALL ON SCHEMA cdc FROM PUBLIC;\s+SET LOCAL search_path = pg_catalog, pg_temp;',
  'it begins with a schema of its own, which nobody else may use') FROM script;
SELECT is_empty($$SELECT m FROM script, regexp_matches(text, 'CREATE OR REPLACE [^;]*|CREATE [A-Z ]*IF NOT EXISTS [^;]*', 'gi') m$$,
  'it takes nothing over');
SELECT is_empty($$
  SELECT m[1] FROM script, regexp_matches(text, 'CREATE FUNCTION ([^;]*);', 'g') m
  WHERE m[1] !~ 'LANGUAGE c ' AND m[1] !~ 'SET search_path = pg_catalog, pg_temp' $$,
  'functions that are looked up when they run have a fixed search_path');
SELECT is((SELECT count(*) FROM script, regexp_matches(text, 'SET (LOCAL )?search_path (?!= pg_catalog, pg_temp\M)', 'g')), 0::bigint,
  'there is no other one');

-- operators, and types in declarations, are looked up in pg_catalog alone; all else has its schema
CREATE TEMP TABLE unqualified (what text, pattern text);
INSERT INTO unqualified VALUES
  ('what it makes and speaks of', '(?:CREATE (?:FUNCTION|TABLE|VIEW|SEQUENCE|TYPE)|ON (?:FUNCTION|TABLE|VIEW|SEQUENCE|TYPE|INDEX)) (?!cdc\.)([^ (;]+)'),
  ('objects of privileges', '(?:REVOKE|GRANT) [A-Z, ]+ ON (?!SCHEMA|FUNCTION|SEQUENCE|TYPE|cdc\.)([^ ;]+)'),
  ('tables that it alters', 'ALTER TABLE (?!cdc\.)([^ ;]+)'),
  ('functions of triggers', 'EXECUTE FUNCTION (?!cdc\.)([^ (;]+)'),
  ('tables of indexes', 'CREATE INDEX \w+ ON (?!cdc\.)([^ ;]+)'),
  ('tables that it reads', '(?:FROM|JOIN) (?!LATERAL|PUBLIC|cdc\.|pg_catalog\.)([^ (;]+)'),
  ('functions that it calls', '(?:^|[^\w."])(?!coalesce\(|v\(id\))([a-z_]\w*)\('),
  ('types that it casts to', '::(?!pg_catalog\.|cdc\.|(?:boolean|bigint)\M)(\w+)');
SELECT is_empty(format('SELECT m[1] FROM script, regexp_matches(text, %L, ''g'') m', pattern), what || ' have their schema')
FROM unqualified;
SELECT is_empty($$SELECT m[1] FROM file, regexp_matches(text, 'pg_extension_config_dump\(''(?!cdc\.)([^'']*)', 'g') m$$,
  'tables of a dump have their schema');

-- An installation where others have been before: for every function and operator that the
-- script names there is one with the same arguments that comes first in the search_path.
SELECT diag('with hostile functions and operators');
DROP EXTENSION cdc;
CREATE SCHEMA hostile;
CREATE SEQUENCE hostile.ran;
CREATE TABLE hostile.customer (id int PRIMARY KEY, email text);
CREATE TEMP TABLE copied AS
  SELECT p.oid, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
  FROM pg_proc p
  WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.provariadic = 0
    -- (of what has such types ordinary users can make none)
    AND NOT coalesce(p.proallargtypes, p.proargtypes::oid[]) || p.prorettype && '{internal,cstring,"\"any\"",pg_ddl_command,trigger,event_trigger}'::regtype[]::oid[]
    AND (EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = p.oid AND o.oprname IN ('=', '<>', '<=', '>', '>=', '||', '->', '->>', '@>', '<@'))
         OR position(p.proname || '(' IN (SELECT text FROM file)) > 0);
DO $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT * FROM copied LOOP
    EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', c.proname, c.arguments, c.result,
      'BEGIN PERFORM pg_catalog.nextval(''hostile.ran''); RETURN' || CASE WHEN c.result ~ '^(SETOF|TABLE|void)' THEN '' ELSE ' NULL' END || '; END');
  END LOOP;
  FOR c IN SELECT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, f.proname FROM pg_operator o JOIN copied f ON f.oid = o.oprcode
           WHERE o.oprname IN ('=', '<>', '<=', '>', '>=', '||', '->', '->>', '@>', '<@') LOOP
    EXECUTE format('CREATE OPERATOR hostile.%s (FUNCTION = hostile.%I, LEFTARG = %s, RIGHTARG = %s)', c.oprname, c.proname, c.l, c.r);
  END LOOP;
END $$;
SELECT cmp_ok((SELECT count(*) FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace), '>', 100::bigint, 'there are hostile operators');
SET LOCAL search_path = hostile, pg_catalog, public;
CREATE EXTENSION cdc;
SET LOCAL search_path = public;
SELECT is_empty('SELECT * FROM foreign_object', 'the extension depends on none of them');
SET LOCAL search_path = hostile, pg_catalog, public;
CREATE TEMP TABLE number AS SELECT cdc.redact('customer', 'email', 'hash') AS rule;
ALTER TABLE customer ADD name text;
SELECT * INTO TEMP looked FROM cdc.redaction_rules;
SELECT FROM cdc.slots, cdc.read_grants, cdc.readers, cdc.schema_versions;
SELECT cdc.register('customer');
ALTER TABLE customer ADD note text;
SELECT count(*) * 0 AS reports FROM (SELECT FROM cdc.security_report() UNION ALL SELECT FROM cdc.redaction_report()) r;
SELECT cdc.grant_read('customer', current_user::pg_catalog.regrole);
SELECT cdc.unredact(rule), cdc.unregister('customer') FROM number;
DROP TABLE customer;
SET LOCAL search_path = public;
SELECT is((SELECT covers FROM looked), ARRAY['hostile.customer.email'], 'and works beside them');
SELECT ok(NOT is_called, 'none of them has run') FROM hostile.ran;

SELECT * FROM finish();
ROLLBACK;
