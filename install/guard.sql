-- Also the beginning of every script that updates. A library that is older than the SQL lacks
-- functions that the rest of the script speaks of.
DO $$
DECLARE
  library text := cdc.library_version();
  wanted text := (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'cdc'::name);
BEGIN
  IF pg_catalog.string_to_array(library, '.'::text)::integer[] OPERATOR(pg_catalog.<) pg_catalog.string_to_array(wanted, '.'::text)::integer[] THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state'::text,
      MESSAGE = pg_catalog.format('version %s of extension "cdc" needs its library, and this session has that of version %s'::text, wanted, library),
      HINT = 'Connect again, and repeat the command. If the library is in shared_preload_libraries, restart the server before.'::text;
  END IF;
END $$;
