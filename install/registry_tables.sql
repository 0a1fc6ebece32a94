-- Registry of schemas

CREATE FUNCTION cdc.choices(what text)
RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT (CASE what
    WHEN 'mode' THEN '{none,backward,forward,full,backward_transitive,forward_transitive,full_transitive}'
    WHEN 'level' THEN '{wire,file}'
    WHEN 'enforcement' THEN '{off,warn,reject}' END)::text[]
$$;
REVOKE ALL ON FUNCTION cdc.choices(text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.choices(text) IS
  'What can be given as mode and level of cdc.register(), and to cdc.set_enforcement() (enforcement). Part of the registry''s own functions.';

CREATE SEQUENCE cdc.registry_id;
REVOKE ALL ON SEQUENCE cdc.registry_id FROM PUBLIC;
COMMENT ON SEQUENCE cdc.registry_id IS 'Numbers of the rows of cdc.registered_table and cdc.schema_detail';
SELECT pg_catalog.pg_extension_config_dump('cdc.registry_id', '');

CREATE TABLE cdc.registered_table (
  id bigint PRIMARY KEY,
  -- as it was called when it was last looked at
  schema_name name NOT NULL,
  table_name name NOT NULL,
  mode text NOT NULL CHECK (mode = ANY (cdc.choices('mode'))),
  level text NOT NULL CHECK (level = ANY (cdc.choices('level'))),
  -- of cdc.schema_detail: what it is, and all that it was
  version bigint NOT NULL,
  versions bigint[] NOT NULL,
  reason text,
  registered_at timestamptz NOT NULL,
  registered_by name NOT NULL
);
CREATE INDEX registered_table_names ON cdc.registered_table (schema_name, table_name);
COMMENT ON INDEX cdc.registered_table_names IS 'Finds what a restore has brought';
REVOKE ALL ON cdc.registered_table FROM PUBLIC;
COMMENT ON TABLE cdc.registered_table IS
  'The tables whose schemas are kept, with their versions. Written by cdc.register(), cdc.unregister(), cdc.refresh_registry() and by DDL.';
SELECT pg_catalog.pg_extension_config_dump('cdc.registered_table', '');

-- Not dumped: after a restore the number is another relation's, or nobody's.
CREATE TABLE cdc.registered_relation (
  relid oid PRIMARY KEY,
  id bigint NOT NULL
);
REVOKE ALL ON cdc.registered_relation FROM PUBLIC;
COMMENT ON TABLE cdc.registered_relation IS
  'Which relation a row of cdc.registered_table is about. A row without one was restored, see cdc.refresh_registry().';

CREATE TABLE cdc.schema_detail (
  id bigint PRIMARY KEY,
  schema_name name NOT NULL,
  table_name name NOT NULL,
  sha256 bytea NOT NULL CHECK (pg_catalog.octet_length(sha256) = 32),
  major int NOT NULL CHECK (major > 0),
  minor int NOT NULL CHECK (minor >= 0),
  -- dropped: with its table, but told of what is sent still; unregistered: not told either
  status text NOT NULL CHECK (status IN ('active', 'deprecated', 'retired', 'dropped', 'unregistered')),
  grace_until timestamptz CHECK ((status = 'deprecated') = (grace_until IS NOT NULL)),
  descriptor bytea NOT NULL,
  enums jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  created_by name NOT NULL,
  command text,
  reason text
);
CREATE INDEX schema_detail_names ON cdc.schema_detail (schema_name, table_name);
COMMENT ON INDEX cdc.schema_detail_names IS 'Finds the versions of a table''s name';
REVOKE ALL ON cdc.schema_detail FROM PUBLIC;
COMMENT ON TABLE cdc.schema_detail IS
  'The versions: sha256, of the whole schema, by which the stream finds them; descriptor, the serialized cdc.v1.Table without values of older rows; enums, the labels of enum types of its columns; status (deprecated versions count until grace_until, retired ones do not, and those that are unregistered are not told either); who made it, by which command, and why it breaks readers, if it does.';
SELECT pg_catalog.pg_extension_config_dump('cdc.schema_detail', '');

CREATE TABLE cdc.schema_reader (
  consumer text,
  id bigint,
  major int NOT NULL,
  registered_at timestamptz NOT NULL,
  registered_by name NOT NULL,
  PRIMARY KEY (consumer, id)
);
REVOKE ALL ON cdc.schema_reader FROM PUBLIC;
COMMENT ON TABLE cdc.schema_reader IS 'Which major version of a table (id: of cdc.registered_table) a consumer reads, see cdc.register_reader().';
SELECT pg_catalog.pg_extension_config_dump('cdc.schema_reader', '');

CREATE TABLE cdc.schema_enforcement (
  one boolean PRIMARY KEY CHECK (one),
  level text NOT NULL CHECK (level = ANY (cdc.choices('enforcement')))
);
REVOKE ALL ON cdc.schema_enforcement FROM PUBLIC;
COMMENT ON TABLE cdc.schema_enforcement IS 'What cdc.set_enforcement() was given; no row: warn.';
SELECT pg_catalog.pg_extension_config_dump('cdc.schema_enforcement', '');

CREATE TABLE cdc.schema_audit (
  -- no number: a restore adds entries before those of the dump come
  id uuid PRIMARY KEY,
  at timestamptz NOT NULL,
  by name NOT NULL,
  action text NOT NULL,
  relation text NOT NULL,
  version text,
  command text,
  reason text,
  findings jsonb
);
REVOKE ALL ON cdc.schema_audit FROM PUBLIC;
COMMENT ON TABLE cdc.schema_audit IS
  'Who has registered, changed, deprecated, retired or dropped which schema, when, by which command and why; findings: what it breaks. Of a command its tag and object are kept, never its text, which may have values. Written by the functions of the registry.';
SELECT pg_catalog.pg_extension_config_dump('cdc.schema_audit', '');

CREATE FUNCTION cdc.audit_schema(action text, relation text, version text DEFAULT NULL, command text DEFAULT NULL,
  reason text DEFAULT NULL, findings jsonb DEFAULT NULL)
RETURNS void LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT cdc.put_row(ROW(gen_random_uuid(), clock_timestamp(), session_user, action, relation, version, command, reason, findings)::cdc.schema_audit)
$$;
REVOKE ALL ON FUNCTION cdc.audit_schema(text, text, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION cdc.audit_schema(text, text, text, text, text, jsonb) IS 'Adds an entry to cdc.schema_audit. Part of the registry''s own functions.';
