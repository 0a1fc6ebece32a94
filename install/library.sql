-- Every later version has this function under this name: what comes next relies on it

CREATE FUNCTION cdc.library_version()
RETURNS text LANGUAGE c STRICT STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cdc_library_version';
REVOKE ALL ON FUNCTION cdc.library_version() FROM PUBLIC;
COMMENT ON FUNCTION cdc.library_version() IS
  'Version of the library that this session has loaded. Where extversion of pg_extension is another one, streams and snapshots do not begin: ALTER EXTENSION cdc UPDATE, or, with an older library, connect again, after a restart of a server that preloads it.';
