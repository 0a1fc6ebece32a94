-- The install script: nothing in it is looked up where somebody else may have put something.
BEGIN;
SELECT no_plan();

CREATE TEMP VIEW object AS
  SELECT classid, objid FROM pg_depend
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cdc');

-- what views, constraints, defaults and triggers were resolved to
SELECT is_empty($$
  WITH RECURSIVE inner_object(classid, objid) AS (
    SELECT * FROM object
    UNION
    SELECT d.classid, d.objid FROM inner_object o JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
    WHERE d.deptype IN ('a', 'i', 'P', 'S'))
  SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), i.type, i.identity
  FROM inner_object o JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('n', 'a', 'i'),
    pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) i
  WHERE coalesce(i.schema, '') NOT IN ('cdc', 'pg_catalog', 'pg_toast')
    AND i.identity <> 'cdc' AND i.identity NOT LIKE '%cdc.%' AND i.type NOT IN ('language', 'extension') $$,
  'what it has made depends on pg_catalog and its own objects alone');

-- statements, without the bodies of functions and comments
CREATE TEMP TABLE script AS
  SELECT regexp_replace(regexp_replace(regexp_replace(pg_read_file(setting || '/extension/cdc--' || extversion || '.sql'),
    '\$\$.*?\$\$', '$$$$', 'g'), '(^|\n)\s*--[^\n]*', '\1', 'g'), '''([^'']|'''')*''', '''''', 'g') AS text
  FROM pg_config, pg_extension WHERE name = 'SHAREDIR' AND extname = 'cdc';
SELECT ok(text ~ '^\s*\\echo [^\n]*\\quit\s+CREATE SCHEMA cdc;\s+REVOKE ALL ON SCHEMA cdc FROM PUBLIC;\s+SET LOCAL search_path = cdc, pg_temp;',
  'it begins with a schema of its own, which nobody else may use') FROM script;
SELECT is_empty($$SELECT m FROM script, regexp_matches(text, 'CREATE OR REPLACE [^;]*|CREATE [A-Z ]*IF NOT EXISTS [^;]*', 'gi') m$$,
  'it takes nothing over');
SELECT is_empty($$
  SELECT m[1] FROM script, regexp_matches(text, 'CREATE FUNCTION ([^;]*);', 'g') m
  WHERE m[1] !~ 'LANGUAGE c ' AND m[1] !~ 'SET search_path = pg_catalog, pg_temp' $$,
  'functions that are looked up when they run have a fixed search_path');

-- the schema is new and first in the search_path, so these are safe; it is to be said all the same
SELECT todo_start('sections that are still to be qualified');
SELECT is((SELECT count(*) FROM script, regexp_matches(text,
    '(?:CREATE (?:FUNCTION|TABLE|VIEW|SEQUENCE)|ALTER TABLE|(?:FUNCTION|ON|REFERENCES) )\s*("?[a-z_]+"?)\s*[(;]', 'g')), 0::bigint,
  'names have their schema');
SELECT todo_end();

SELECT * FROM finish();
ROLLBACK;
