CREATE TABLE cdc.redaction_secret (
  number int PRIMARY KEY CHECK (number > 0),
  large_object oid NOT NULL,
  created_at timestamptz NOT NULL,
  created_by name NOT NULL
);
REVOKE ALL ON cdc.redaction_secret FROM PUBLIC;
COMMENT ON TABLE cdc.redaction_secret IS
  'Which large object has which secret for hashes: 32 random bytes, readable by its owner, who is the extension''s, alone. Hashes name the number. Both are in pg_dump (with --large-objects).';
SELECT pg_catalog.pg_extension_config_dump('cdc.redaction_secret', '');

CREATE FUNCTION cdc.rotate_redaction_secret()
RETURNS int LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_rotate_redaction_secret';
REVOKE ALL ON FUNCTION cdc.rotate_redaction_secret() FROM PUBLIC;
COMMENT ON FUNCTION cdc.rotate_redaction_secret() IS
  'Makes a new secret for hashes inside the server, and returns its number. A stream uses the one that is the newest when it starts, so that hashes of equal values differ from there on. Former secrets are kept.';
