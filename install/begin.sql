-- The SQL surface of cdc. Everything runs with the caller's privileges, but for what
-- writes rules and reports, and is granted to nobody (but what monitoring reads, to
-- pg_monitor): an administrator grants what a role needs.
\echo Use "CREATE EXTENSION cdc" to load this file. \quit

-- Whoever owns the schema, or may create objects in it, could put functions into it that run
-- with the rights of those who call what is here: one that is there already is an ERROR. It
-- is the extension's, and goes with it.
CREATE SCHEMA cdc;
REVOKE ALL ON SCHEMA cdc FROM PUBLIC;
-- What has no schema is looked up where superusers alone can put something: names of the
-- extension's own things have theirs, and operators and types can be no others.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Nothing but pg_catalog is trusted here: names have their schema, and literals their type.
DO $$
DECLARE
  others pg_catalog.text;
  publications pg_catalog.text;
BEGIN
  SELECT pg_catalog.string_agg(a.grantee::pg_catalog.regrole::pg_catalog.text, ', '::pg_catalog.text)
  INTO others
  FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
  WHERE n.nspname OPERATOR(pg_catalog.=) 'cdc'::pg_catalog.name
    AND a.grantee OPERATOR(pg_catalog.<>) n.nspowner
    AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'::pg_catalog.text;
  IF others IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state'::pg_catalog.text,
      MESSAGE = pg_catalog.format('default privileges let other roles create objects in schema "cdc": %s'::pg_catalog.text, others),
      DETAIL = 'What they put there could run with the rights of a superuser.'::pg_catalog.text,
      HINT = 'Take the default privilege CREATE ON SCHEMAS away before CREATE EXTENSION.'::pg_catalog.text;
  END IF;
  SELECT pg_catalog.string_agg(pg_catalog.quote_ident(p.pubname::pg_catalog.text), ', '::pg_catalog.text ORDER BY p.pubname)
  INTO publications
  FROM pg_catalog.pg_publication p WHERE p.puballtables;
  IF publications IS NOT NULL THEN
    -- less is not shown while a script of an extension is run
    RAISE WARNING USING
      MESSAGE = pg_catalog.format('tables of the extension "cdc" are in publications FOR ALL TABLES: %s'::pg_catalog.text, publications),
      DETAIL = 'What cdc writes to them is not sent to subscribers, whose servers need no cdc; what the restore of a dump writes is.'::pg_catalog.text,
      HINT = 'Restore a dump with rules of redaction, grants or registered tables while those publications have no subscribers, or where they have the extension, too.'::pg_catalog.text;
  END IF;
END $$;

COMMENT ON SCHEMA cdc IS
  'Change data capture: slots, reading and describing streams of Protobuf ChangeEvents';
