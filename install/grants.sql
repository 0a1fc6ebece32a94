-- Privileges

-- Numbers say what a row is about, and are not dumped: what pg_dump reads is the names
-- that the numbers stand for then.
CREATE TABLE cdc.read_grant (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  role_name name NOT NULL,
  schema_name name,
  table_name name,
  column_name name,
  prefix text,
  giver_name name,
  role oid,
  relation oid,
  attnum int2,
  giver oid,
  given_at pg_lsn,
  reason text,
  granted_at timestamptz NOT NULL,
  granted_by name NOT NULL,
  CONSTRAINT relation_or_prefix CHECK (pg_catalog.num_nonnulls(table_name, prefix) = 1 AND pg_catalog.num_nulls(schema_name, table_name) <> 1),
  CONSTRAINT columns_of_relations CHECK (column_name IS NULL OR table_name IS NOT NULL),
  CONSTRAINT numbers CHECK (CASE WHEN role IS NULL THEN pg_catalog.num_nonnulls(relation, attnum, giver, given_at) = 0
    ELSE pg_catalog.num_nulls(relation, table_name) <> 1 AND pg_catalog.num_nulls(attnum, column_name) <> 1 END)
);
REVOKE ALL ON cdc.read_grant FROM PUBLIC;
COMMENT ON TABLE cdc.read_grant IS
  'What cdc.grant_read() gave, by numbers and by the names of then; rows of a restore have names alone. Read the view cdc.read_grants instead. Written by functions of schema cdc.';
-- Role, table and column by their current names, and no numbers. (No view can be read by pg_dump.)
SELECT pg_catalog.pg_extension_config_dump('cdc.read_grant',
  'WHERE false UNION ALL
SELECT g.id, r.rolname, n.nspname, c.relname, a.attname, g.prefix, o.rolname, NULL, NULL, NULL, NULL, NULL, g.reason, g.granted_at, g.granted_by
FROM cdc.read_grant g JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) g.role
  LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) g.relation
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.=) g.attnum AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) g.giver
WHERE (g.relation IS NULL) OPERATOR(pg_catalog.=) (c.oid IS NULL) AND (g.attnum IS NULL) OPERATOR(pg_catalog.=) (a.attnum IS NULL)
  AND (g.giver IS NULL) OPERATOR(pg_catalog.=) (o.oid IS NULL)
UNION ALL
SELECT id, role_name, schema_name, table_name, column_name, prefix, giver_name, NULL, NULL, NULL, NULL, NULL, reason, granted_at, granted_by
FROM cdc.read_grant WHERE role IS NULL');
SELECT pg_catalog.pg_extension_config_dump('cdc.read_grant_id_seq', '');
COMMENT ON SEQUENCE cdc.read_grant_id_seq IS 'Numbers of the rows of cdc.read_grant';

CREATE TABLE cdc.read_grant_dropped (
  id bigint PRIMARY KEY,
  lsn pg_lsn NOT NULL
);
REVOKE ALL ON cdc.read_grant_dropped FROM PUBLIC;
COMMENT ON TABLE cdc.read_grant_dropped IS
  'Rows of cdc.read_grant whose tables were dropped, and where in the WAL: they count for changes that wait until no slot of this database needs what was before.';


CREATE VIEW cdc.read_grants AS
SELECT g.id, r.rolname AS role, n.nspname AS schema_name, c.relname AS table_name, a.attname AS column_name, g.prefix,
       coalesce(o.rolname, pg_catalog.pg_get_userbyid(CASE WHEN g.prefix IS NULL THEN c.relowner
         ELSE (SELECT e.extowner FROM pg_catalog.pg_extension e WHERE e.extname = 'cdc') END)) AS giver,
       o.oid IS NULL OR pg_catalog.pg_has_role(o.oid, c.relowner, 'USAGE')
         OR (NOT c.relrowsecurity
             AND (pg_catalog.has_table_privilege(o.oid, c.oid, 'SELECT WITH GRANT OPTION')
                  OR (g.attnum IS NOT NULL AND pg_catalog.has_column_privilege(o.oid, c.oid, g.attnum, 'SELECT WITH GRANT OPTION')))) AS counts,
       g.bound, g.reason, g.granted_at, g.granted_by
FROM (SELECT b.id, b.role, b.relation, b.attnum, b.giver, b.prefix, true AS bound, b.reason, b.granted_at, b.granted_by, b.giver IS NOT NULL AS named
      FROM cdc.read_grant b WHERE b.role IS NOT NULL
      UNION ALL
      SELECT u.id, r.oid, c.oid, a.attnum, o.oid, u.prefix, false, u.reason, u.granted_at, u.granted_by, u.giver_name IS NOT NULL
      FROM cdc.read_grant u JOIN pg_catalog.pg_roles r ON r.rolname = u.role_name
        LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema_name
        LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.table_name
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = u.column_name AND a.attnum > 0
        LEFT JOIN pg_catalog.pg_roles o ON o.rolname = u.giver_name
      WHERE u.role IS NULL AND (u.table_name IS NULL) = (c.oid IS NULL) AND (u.column_name IS NULL) = (a.attnum IS NULL)) g
  JOIN pg_catalog.pg_roles r ON r.oid = g.role
  LEFT JOIN pg_catalog.pg_class c ON c.oid = g.relation
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = g.attnum AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_roles o ON o.oid = g.giver
WHERE (g.prefix IS NULL) = (c.oid IS NOT NULL) AND (g.attnum IS NULL) = (a.attnum IS NULL) AND g.named = (o.oid IS NOT NULL)
  AND NOT EXISTS (SELECT FROM cdc.read_grant_dropped d WHERE d.id = g.id);
REVOKE ALL ON cdc.read_grants FROM PUBLIC;
COMMENT ON VIEW cdc.read_grants IS
  'What roles may be sent without being able to SELECT it, by the names of now: tables, columns of them, or logical messages with a prefix. Grants to roles, and on tables, that are not there are not listed.';
COMMENT ON COLUMN cdc.read_grants.id IS 'Number of the grant.';
COMMENT ON COLUMN cdc.read_grants.role IS 'Who is sent it, with its members.';
COMMENT ON COLUMN cdc.read_grants.schema_name IS 'Schema of the table.';
COMMENT ON COLUMN cdc.read_grants.table_name IS 'The table; NULL = the grant is for messages.';
COMMENT ON COLUMN cdc.read_grants.column_name IS 'The column; NULL = all, later ones too.';
COMMENT ON COLUMN cdc.read_grants.prefix IS 'Prefix of the logical messages; NULL = the grant is for a table.';
COMMENT ON COLUMN cdc.read_grants.giver IS 'Whose grant it is; those of the owner are those of whoever owns the table now.';
COMMENT ON COLUMN cdc.read_grants.counts IS 'The giver may still give it.';
COMMENT ON COLUMN cdc.read_grants.bound IS 'Known by numbers; after a restore by names, until cdc.bind_grants() or the next grant.';
COMMENT ON COLUMN cdc.read_grants.reason IS 'What was given as the reason.';
COMMENT ON COLUMN cdc.read_grants.granted_at IS 'When it was given.';
COMMENT ON COLUMN cdc.read_grants.granted_by IS 'Who called cdc.grant_read().';

CREATE FUNCTION cdc.grant_read(relation regclass DEFAULT NULL, role regrole DEFAULT NULL,
  columns name[] DEFAULT NULL, prefix text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_grant_read';
REVOKE ALL ON FUNCTION cdc.grant_read(regclass, regrole, name[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.grant_read(regclass, regrole, name[], text, text) IS
  'Lets a role, and its members, be sent the rows of a table, or only those columns (NULL = all, later ones too), as rules of redaction leave them; or the logical messages with a prefix. It does not let the role SELECT. Needs the right to act for the table''s owner, or SELECT WITH GRANT OPTION. ERROR 42501 without it, 22023 or 42703 for wrong arguments. More: docs/reference.md.';

CREATE FUNCTION cdc.revoke_read(relation regclass DEFAULT NULL, role regrole DEFAULT NULL,
  columns name[] DEFAULT NULL, prefix text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cdc_revoke_read';
REVOKE ALL ON FUNCTION cdc.revoke_read(regclass, regrole, name[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION cdc.revoke_read(regclass, regrole, name[], text, text) IS
  'Takes back what cdc.grant_read() gave, also for changes that are not read yet: all of a table, or the columns given; or a prefix. Streams know it from the next transaction on. What the role may SELECT it is still sent. Who acts for the owner takes back everybody''s grants, others their own. ERROR 42501 without the right to, 42704 where nothing was granted.';

CREATE FUNCTION cdc.bind_grants()
RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  g cdc.read_grant;
  bound bigint := 0;
BEGIN
  PERFORM cdc.require_primary('cdc.bind_grants()');
  FOR g IN SELECT * FROM cdc.read_grant WHERE role IS NULL FOR UPDATE SKIP LOCKED LOOP
    g.role := (SELECT oid FROM pg_roles WHERE rolname = g.role_name);
    g.relation := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = g.schema_name AND c.relname = g.table_name);
    g.attnum := (SELECT attnum FROM pg_attribute WHERE attrelid = g.relation AND attname = g.column_name AND attnum > 0 AND NOT attisdropped);
    g.giver := (SELECT oid FROM pg_roles WHERE rolname = g.giver_name);
    g.given_at := pg_current_wal_insert_lsn();
    CONTINUE WHEN g.role IS NULL OR num_nulls(g.relation, g.table_name) = 1 OR num_nulls(g.attnum, g.column_name) = 1
      OR num_nulls(g.giver, g.giver_name) = 1;
    PERFORM cdc.put_row(g);
    bound := bound + 1;
  END LOOP;
  RETURN bound;
END $$;
REVOKE ALL ON FUNCTION cdc.bind_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.bind_grants() IS
  'Gives numbers to grants that a restore has brought with names alone, so that from then on they follow roles and tables that are renamed; returns how many. To be called after a restore; DDL and cdc.grant_read() do it, too. What has no role, table or column of its name stays, and counts once there is one.';

-- What no longer is about anything, or waits for no slot.
CREATE FUNCTION cdc.prune_grants()
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  needed pg_lsn := (SELECT min(restart_lsn) FROM pg_replication_slots WHERE plugin = 'cdc' AND database = current_database());
  g cdc.read_grant;
  d cdc.read_grant_dropped;
BEGIN
  PERFORM cdc.require_primary('cdc.prune_grants()');
  FOR g IN SELECT * FROM cdc.read_grant t WHERE t.role IS NOT NULL
      AND (NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = t.role)
        OR (t.giver IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = t.giver))
        OR EXISTS (SELECT FROM cdc.read_grant_dropped x WHERE x.id = t.id AND (needed IS NULL OR x.lsn <= needed))
        OR (t.relation IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)
            AND NOT EXISTS (SELECT FROM cdc.read_grant_dropped x WHERE x.id = t.id)))
      FOR UPDATE SKIP LOCKED LOOP
    PERFORM cdc.drop_row(g);
  END LOOP;
  FOR d IN SELECT * FROM cdc.read_grant_dropped x WHERE NOT EXISTS (SELECT FROM cdc.read_grant t WHERE t.id = x.id) FOR UPDATE SKIP LOCKED LOOP
    PERFORM cdc.drop_row(d);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION cdc.prune_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.prune_grants() IS
  'Removes grants to roles, by roles and on tables that are not there any more, but those on dropped tables of which changes wait in a slot. Called by functions that write grants.';

-- A table's grants go with it: another one may get the number. What waits of it is still
-- sent to whom its owner had it sent.
CREATE FUNCTION cdc.forget_grants()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  gone oid[] := ARRAY(SELECT objid FROM pg_event_trigger_dropped_objects() WHERE classid = 'pg_class'::regclass AND objsubid = 0);
  g cdc.read_grant;
BEGIN
  IF NOT EXISTS (SELECT FROM cdc.read_grant WHERE relation = ANY (gone)) THEN
    RETURN;
  END IF;
  FOR g IN SELECT * FROM cdc.read_grant WHERE relation = ANY (gone) FOR UPDATE SKIP LOCKED LOOP
    IF g.giver IS NOT NULL OR EXISTS (SELECT FROM cdc.read_grant_dropped d WHERE d.id = g.id) THEN
      PERFORM cdc.drop_row(g);
    ELSE
      PERFORM cdc.put_row((g.id, pg_current_wal_insert_lsn())::cdc.read_grant_dropped);
    END IF;
    PERFORM cdc.put_row(jsonb_populate_record(NULL::cdc.redaction_audit, jsonb_build_object('id', gen_random_uuid(), 'at', clock_timestamp(),
      'by', session_user, 'about', 'read_grant', 'action', 'DROP', 'rule', jsonb_build_object('role', g.role_name,
        'relation', format('%I.%I', g.schema_name, g.table_name), 'column_name', g.column_name, 'giver', g.giver_name, 'reason', g.reason))));
  END LOOP;
  PERFORM cdc.prune_grants();
END $$;
REVOKE ALL ON FUNCTION cdc.forget_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.forget_grants() IS 'Event trigger function: ends what was granted on dropped tables.';
CREATE EVENT TRIGGER cdc_forget_grants ON sql_drop EXECUTE FUNCTION cdc.forget_grants();
ALTER EVENT TRIGGER cdc_forget_grants ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_forget_grants IS 'Ends what cdc.grant_read() gave on tables that are dropped.';

-- Before names change.
CREATE FUNCTION cdc.bind_grants_before()
RETURNS event_trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM cdc.read_grant WHERE role IS NULL) AND NOT current_setting('transaction_read_only')::boolean THEN
    PERFORM cdc.bind_grants();
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdc.bind_grants_before() FROM PUBLIC;
COMMENT ON FUNCTION cdc.bind_grants_before() IS 'Event trigger function: cdc.bind_grants(), before DDL gives names to something else.';
CREATE EVENT TRIGGER cdc_bind_grants ON ddl_command_start EXECUTE FUNCTION cdc.bind_grants_before();
ALTER EVENT TRIGGER cdc_bind_grants ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cdc_bind_grants IS 'Lets grants that a restore has brought follow what is renamed.';
