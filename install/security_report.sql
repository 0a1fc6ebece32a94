-- Reports

-- What cdc.security_report() is put together from. None of it locks a table, or runs what
-- belongs to the roles that are reported.
CREATE FUNCTION cdc.report_edges(OUT member oid, OUT roleid oid, OUT statement text)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  -- from 16 on a membership can be granted by several roles
  SELECT m.member, m.roleid,
    format('REVOKE %I FROM %I%s%s', pg_get_userbyid(m.roleid), pg_get_userbyid(m.member),
      CASE WHEN current_setting('server_version_num')::int >= 160000 THEN format(' GRANTED BY %I', pg_get_userbyid(m.grantor)) END,
      CASE WHEN m.admin_option THEN ' CASCADE' END)
  FROM pg_auth_members m
  UNION ALL
  -- the owner of the database has to be another role
  SELECT d.datdba, r.oid, NULL
  FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = 'pg_database_owner'
$$;
REVOKE ALL ON FUNCTION cdc.report_edges() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_edges() IS 'For cdc.security_report(): memberships, and the statement that ends one; NULL = none does.';

CREATE FUNCTION cdc.report_reach(OUT role oid, OUT via oid)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  -- SET ROLE gets at what is not inherited
  WITH RECURSIVE edge AS MATERIALIZED (SELECT e.member, e.roleid FROM cdc.report_edges() e), reach(role, via) AS (
    SELECT oid, oid FROM pg_roles
    UNION
    SELECT r.role, e.roleid FROM reach r JOIN edge e ON e.member = r.via
  )
  SELECT r.role, r.via FROM reach r
$$;
REVOKE ALL ON FUNCTION cdc.report_reach() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_reach() IS 'For cdc.security_report(): the roles that each role can become.';

CREATE FUNCTION cdc.report_consumers(OUT role oid, OUT rolname name, OUT rolsuper boolean, OUT named boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH reader(role) AS MATERIALIZED (
    SELECT r.oid FROM cdc.slots s JOIN pg_roles r ON r.rolname = s.reader
    UNION
    SELECT r.oid FROM cdc.read_grants g JOIN pg_roles r ON r.rolname = g.role
  ), named(role) AS (                    -- whose rows close what their members do through them
    SELECT role FROM reader
    UNION
    SELECT oid FROM pg_roles WHERE rolreplication AND NOT rolsuper
  )
  SELECT r.oid, r.rolname, r.rolsuper, r.oid IN (SELECT role FROM named)
  FROM pg_roles r
  WHERE r.oid IN (SELECT role FROM named)
     OR (r.rolcanlogin AND NOT r.rolsuper
         AND r.oid IN (SELECT m.role FROM cdc.report_reach() m JOIN reader ON reader.role = m.via))
$$;
REVOKE ALL ON FUNCTION cdc.report_consumers() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_consumers() IS
  'For cdc.security_report(): the readers of slots, who was granted something, their members who can log in, and the roles with REPLICATION that are no superusers. named: not only a member.';

CREATE FUNCTION cdc.report_memberships(OUT role oid, OUT rolname name, OUT via oid, OUT via_name name, OUT rolsuper boolean,
  OUT rolreplication boolean, OUT rolcreaterole boolean, OUT through text, OUT own boolean, OUT leave text[])
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH consumer AS MATERIALIZED (SELECT c.role, c.rolname, c.rolsuper, c.named FROM cdc.report_consumers() c),
  reach AS MATERIALIZED (SELECT r.role, r.via FROM cdc.report_reach() r),
  named AS (SELECT role FROM consumer WHERE named),
  leave AS (                             -- ends a membership, by what no other consumer's row is for
    SELECT m.role, m.via,
      CASE WHEN bool_and(e.statement IS NOT NULL) THEN array_agg(DISTINCT e.statement ORDER BY e.statement) END AS statements
    FROM reach m JOIN consumer c ON c.role = m.role
      JOIN reach g ON g.role = m.role AND (g.via = m.role OR g.via IN (SELECT role FROM named))
      JOIN cdc.report_edges() e ON e.member = g.via AND (e.roleid = m.via OR e.roleid NOT IN (SELECT role FROM named))
      JOIN reach x ON x.role = e.roleid AND x.via = m.via
    WHERE m.role <> m.via
    GROUP BY m.role, m.via
  )
  SELECT c.role, c.rolname, m.via, r.rolname, r.rolsuper, r.rolreplication, r.rolcreaterole,
    CASE WHEN m.via = c.role THEN '' ELSE format('as a member of %I: ', r.rolname) END,
    m.via = c.role OR m.via IN (SELECT role FROM named), l.statements
  FROM consumer c JOIN reach m ON m.role = c.role JOIN pg_roles r ON r.oid = m.via
    LEFT JOIN leave l ON l.role = c.role AND l.via = m.via
  WHERE NOT c.rolsuper
$$;
REVOKE ALL ON FUNCTION cdc.report_memberships() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_memberships() IS
  'For cdc.security_report(): the roles of each consumer that is no superuser, itself too. own: what closes a way is taken from that role; otherwise leave, the statements that end the membership.';

CREATE FUNCTION cdc.report_redacted(OUT relid oid, OUT name text, OUT owner oid, OUT acl aclitem[], OUT columns name[], OUT list text)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE covered(relid, attname) AS (  -- by rules, and what shows the same through inheritance
    SELECT k.relid, k.attname FROM cdc.redaction_covered k
    UNION
    SELECT i.inhparent, v.attname FROM covered v JOIN pg_inherits i ON i.inhrelid = v.relid
      JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attname = v.attname
  )
  SELECT t.oid, format('%I.%I', n.nspname, t.relname), t.relowner, t.relacl,
    array_agg(v.attname ORDER BY a.attnum), string_agg(quote_ident(v.attname), ', ' ORDER BY a.attnum)
  FROM covered v JOIN pg_class t ON t.oid = v.relid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = v.attname
  GROUP BY t.oid, n.nspname, t.relname, t.relowner, t.relacl
$$;
REVOKE ALL ON FUNCTION cdc.report_redacted() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_redacted() IS 'For cdc.security_report(): tables with columns that rules cover, and those columns.';

CREATE FUNCTION cdc.report_data_grants(OUT way text, OUT detail text, OUT what text, OUT owner oid, OUT grantee oid, OUT grantor oid, OUT grantable boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH redacted AS MATERIALIZED (SELECT r.relid, r.name, r.owner, r.acl, r.columns, r.list FROM cdc.report_redacted() r)
  -- its owner needs no grant
  SELECT 'owner of a redacted table', format('owns %s, and so reads %s: let another role be the consumer', t.name, t.list),
    NULL, t.owner, t.owner, t.owner, false
  FROM redacted t
  UNION ALL
  SELECT x.privilege_type || ' on a redacted table',
    CASE x.privilege_type WHEN 'SELECT' THEN 'reads' ELSE 'a trigger sees' END || format(' %s of %s', t.list, t.name),
    format('%s ON TABLE %s', x.privilege_type, t.name), t.owner, x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM redacted t CROSS JOIN aclexplode(t.acl) x
  WHERE x.privilege_type IN ('SELECT', 'TRIGGER') AND x.grantee <> t.owner
  GROUP BY x.privilege_type, t.list, t.name, t.owner, x.grantee, x.grantor
  UNION ALL
  SELECT 'SELECT on a redacted column',
    format('reads %s of %s', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.name),
    format('SELECT (%s) ON TABLE %s', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.name), t.owner,
    x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM redacted t JOIN pg_attribute a ON a.attrelid = t.relid AND a.attname = ANY (t.columns) CROSS JOIN aclexplode(a.attacl) x
  WHERE x.privilege_type = 'SELECT' AND x.grantee <> t.owner
  GROUP BY t.name, t.owner, x.grantee, x.grantor
  UNION ALL
  SELECT 'the secret of hashes', format('reads secret %s, with which it can try what a hash is of', s.number),
    format('ALL ON LARGE OBJECT %s', l.oid), l.lomowner, x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM cdc.redaction_secret s JOIN pg_largeobject_metadata l ON l.oid = s.large_object CROSS JOIN aclexplode(l.lomacl) x
  WHERE x.grantee <> l.lomowner
  GROUP BY s.number, l.oid, l.lomowner, x.grantee, x.grantor
$$;
REVOKE ALL ON FUNCTION cdc.report_data_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_data_grants() IS 'For cdc.security_report(): what is granted on redacted tables and on secrets, of whom and to whom; and, with what = NULL, who owns redacted tables.';

CREATE FUNCTION cdc.report_server_grants(OUT way text, OUT detail text, OUT what text, OUT owner oid, OUT grantee oid, OUT grantor oid, OUT grantable boolean)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH cdc_object AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'cdc'
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  )
  SELECT 'administrative functions',
    'may call ' || string_agg('cdc.' || p.proname, ', ' ORDER BY p.proname),
    'EXECUTE ON FUNCTION ' || string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.proname), p.proowner,
    x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM cdc_object o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
    CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
  WHERE x.grantee <> p.proowner
    -- what consumers need; the last ones do no more than REPLICATION lets them do without
    AND p.proname NOT IN ('fetch', 'snapshot', 'snapshot_chunks', 'fingerprint', 'table_schema', 'proto', 'decode',
      'decode_json', 'set_metadata', 'set_traceparent', 'slot_counters', 'library_version', 'missing_tables', 'create_slot', 'copy_slot', 'advance_slot', 'drop_slot', 'peek', 'read')
  GROUP BY p.proowner, x.grantee, x.grantor
  UNION ALL
  SELECT 'tables of cdc', format('may %s on cdc.%I', string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type), t.relname),
    format('%s ON %s cdc.%I', string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type),
      CASE t.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, t.relname), t.relowner,
    x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM cdc_object o JOIN pg_class t ON o.classid = 'pg_class'::regclass AND t.oid = o.objid CROSS JOIN aclexplode(t.relacl) x
  WHERE x.privilege_type <> 'SELECT' AND x.grantee <> t.relowner
  GROUP BY t.relname, t.relkind, t.relowner, x.grantee, x.grantor
  UNION ALL
  SELECT 'tables of cdc', format('may %s columns of cdc.%I', x.privilege_type, t.relname),
    format('%s (%s) ON TABLE cdc.%I', x.privilege_type, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.relname), t.relowner,
    x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM cdc_object o JOIN pg_class t ON o.classid = 'pg_class'::regclass AND t.oid = o.objid
    JOIN pg_attribute a ON a.attrelid = t.oid CROSS JOIN aclexplode(a.attacl) x
  WHERE x.privilege_type <> 'SELECT' AND x.grantee <> t.relowner
  GROUP BY t.relname, t.relowner, x.privilege_type, x.grantee, x.grantor
  UNION ALL
  SELECT 'tables of cdc', 'may CREATE in schema cdc', 'CREATE ON SCHEMA cdc', n.nspowner, x.grantee, x.grantor, x.is_grantable
  FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) x
  WHERE n.nspname = 'cdc' AND x.privilege_type = 'CREATE' AND x.grantee <> n.nspowner
  UNION ALL
  SELECT 'files of the server', 'may call ' || string_agg(p.proname, ', ' ORDER BY p.oid),
    'EXECUTE ON FUNCTION ' || string_agg('pg_catalog.' || p.oid::regprocedure::text, ', ' ORDER BY p.oid), p.proowner,
    x.grantee, x.grantor, bool_or(x.is_grantable)
  FROM pg_proc p CROSS JOIN aclexplode(p.proacl) x
  WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('pg_read_file', 'pg_read_binary_file', 'lo_import')
    AND x.grantee <> p.proowner AND x.grantee <> coalesce((SELECT oid FROM pg_roles WHERE rolname = 'pg_read_server_files'), 0)
  GROUP BY p.proowner, x.grantee, x.grantor
  UNION ALL
  SELECT 'settings', format('may %s %s', x.privilege_type, q.parname), format('%s ON PARAMETER %s', x.privilege_type, q.parname),
    10, x.grantee, x.grantor, x.is_grantable
  FROM pg_parameter_acl q CROSS JOIN aclexplode(q.paracl) x
  WHERE q.parname IN ('cdc.check_privileges', 'lo_compat_privileges', 'output_plugin_libraries') AND x.grantee <> 10
$$;
REVOKE ALL ON FUNCTION cdc.report_server_grants() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_server_grants() IS 'For cdc.security_report(): what is granted on the extension''s objects, files of the server and settings, of whom and to whom.';

CREATE FUNCTION cdc.report_owned(OUT way text, OUT detail text, OUT owner oid)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  -- To take an object over would let code of its owner (indexes, triggers, defaults) run as
  -- the new one: no statement does it.
  SELECT 'the secret of hashes', CASE WHEN l.lomowner = e.extowner THEN format('owns secret %s, with which it can try what a hash is of', s.number)
    ELSE format('owns secret %s, with which it can try what a hash is of; it is not used any more: SELECT cdc.rotate_redaction_secret() makes another one', s.number) END, l.lomowner
  FROM cdc.redaction_secret s JOIN pg_largeobject_metadata l ON l.oid = s.large_object CROSS JOIN pg_extension e
  WHERE e.extname = 'cdc'
  UNION ALL
  SELECT 'owner of cdc', format('owns %s', string_agg(pg_describe_object(o.classid, o.objid, 0), ', ' ORDER BY o.classid, o.objid)), o.owner
  FROM (SELECT 'pg_extension'::regclass AS classid, e.oid AS objid, e.extowner AS owner FROM pg_extension e WHERE e.extname = 'cdc'
        UNION ALL SELECT 'pg_namespace'::regclass, n.oid, n.nspowner FROM pg_namespace n WHERE n.nspname = 'cdc'
        UNION ALL SELECT d.classid, d.objid, coalesce(t.relowner, p.proowner)
          FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'cdc'
            LEFT JOIN pg_class t ON d.classid = 'pg_class'::regclass AND t.oid = d.objid
            LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
          WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass)) o
  GROUP BY o.owner
$$;
REVOKE ALL ON FUNCTION cdc.report_owned() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_owned() IS 'For cdc.security_report(): who owns secrets and objects of the extension.';

CREATE FUNCTION cdc.report_configured(OUT name text, OUT value text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  -- whatever this session's are
  configured jsonb;
BEGIN
  PERFORM FROM cdc.decode_json('');       -- loads the library, whose settings are not known before
  SELECT jsonb_object_agg(s.name, CASE WHEN s.source = 'command line' THEN s.setting ELSE s.boot_val END)
  INTO configured
  FROM pg_settings s WHERE s.name IN ('cdc.check_privileges', 'lo_compat_privileges', 'output_plugin_libraries');
  IF has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') THEN
    configured := configured || coalesce(
      (SELECT jsonb_object_agg(lower(f.name), f.setting ORDER BY f.seqno)
       FROM pg_file_settings f JOIN pg_settings s ON s.name = lower(f.name) AND s.source <> 'command line'
       WHERE configured ? s.name AND f.setting IS NOT NULL), '{}');
  END IF;
  RETURN QUERY SELECT j.key, j.value FROM jsonb_each_text(configured) j;
END $$;
REVOKE ALL ON FUNCTION cdc.report_configured() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_configured() IS 'For cdc.security_report(): settings that protect, as the server''s own configuration has them.';

CREATE FUNCTION cdc.report_settings(OUT role oid, OUT name text, OUT value text, OUT is_off boolean, OUT set_by text, OUT statements text[])
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.role, k.name, coalesce(s.value, f.value), coalesce(s.value, f.value) ~* '^(off?|f(a(l(se?)?)?)?|no?|0)$',
    CASE WHEN s.value IS NULL THEN '' ELSE format(' (by ALTER %s SET)', s.target) END,
    CASE WHEN s.value IS NULL THEN
      CASE WHEN k.name ~ '^cdc' THEN ARRAY['LOAD ''cdc'''] ELSE '{}' END
        || ARRAY[format('ALTER SYSTEM SET %s = %s', k.name, k.safe), 'SELECT pg_reload_conf()']
    ELSE ARRAY[format('ALTER %s RESET %s', s.target, k.name)] END
  FROM cdc.report_consumers() c
    CROSS JOIN (VALUES ('cdc.check_privileges', 'on'), ('lo_compat_privileges', 'off'), ('output_plugin_libraries', 'cdc')) k(name, safe)
    LEFT JOIN cdc.report_configured() f ON f.name = k.name
    LEFT JOIN LATERAL (
      SELECT substr(e.entry, strpos(e.entry, '=') + 1) AS value,
        CASE WHEN d.setrole <> 0 AND d.setdatabase <> 0 THEN format('ROLE %I IN DATABASE %I', c.rolname, current_database())
             WHEN d.setrole <> 0 THEN format('ROLE %I', c.rolname)
             WHEN d.setdatabase <> 0 THEN format('DATABASE %I', current_database()) ELSE 'ROLE ALL' END AS target
      FROM pg_db_role_setting d CROSS JOIN unnest(d.setconfig) e(entry)
      WHERE d.setrole IN (0, c.role) AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND lower(split_part(e.entry, '=', 1)) = k.name
      ORDER BY (d.setrole <> 0 AND d.setdatabase <> 0) DESC, d.setrole <> 0 DESC, d.setdatabase <> 0 DESC LIMIT 1) s ON true
  WHERE NOT c.rolsuper AND (s.value IS NOT NULL OR f.name IS NOT NULL)
$$;
REVOKE ALL ON FUNCTION cdc.report_settings() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_settings() IS 'For cdc.security_report(): settings that protect, as a consumer''s session begins with them, and the statements that make them safe.';

CREATE FUNCTION cdc.report_role_ways(OUT role oid, OUT way text, OUT detail text, OUT statements text[])
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH via AS MATERIALIZED (SELECT m.role, m.via_name, m.rolsuper, m.rolreplication, m.rolcreaterole, m.through, m.own, m.leave FROM cdc.report_memberships() m),
  plugins AS (                           -- others than cdc
    SELECT s.role, string_agg(l.name, ', ') AS names, s.set_by, s.statements
    FROM cdc.report_settings() s CROSS JOIN unnest(string_to_array(s.value, ',')) u(entry) CROSS JOIN trim(u.entry, ' "''') AS l(name)
    WHERE s.name = 'output_plugin_libraries' AND l.name NOT IN ('cdc', '')
    GROUP BY s.role, s.set_by, s.statements
  ), knows(plugins) AS (SELECT EXISTS (SELECT FROM pg_settings WHERE name = 'output_plugin_libraries'))
  SELECT c.role, 'superuser', 'is one: nothing but redaction in cdc''s own output limits it',
    CASE WHEN c.role <> 10 THEN ARRAY[format('ALTER ROLE %I NOSUPERUSER', c.rolname)] END
  FROM cdc.report_consumers() c WHERE c.rolsuper
  UNION ALL
  SELECT v.role, 'superuser', v.through || 'becomes one by SET ROLE', v.leave FROM via v WHERE v.rolsuper
  UNION ALL
  SELECT v.role, 'REPLICATION', v.through || 'copies the whole cluster (BASE_BACKUP), reads from and drops any slot; cdc.fetch() needs none of that',
    CASE WHEN v.own THEN ARRAY[format('ALTER ROLE %I NOREPLICATION', v.via_name)] ELSE v.leave END
  FROM via v WHERE v.rolreplication AND NOT v.rolsuper
  UNION ALL
  SELECT v.role, 'other output plugins',
    v.through || CASE WHEN k.plugins THEN format('output_plugin_libraries allows %s%s', p.names, p.set_by)
      ELSE 'this server allows all; PostgreSQL 15.19, 16.15, 17.11 and 18.6 have output_plugin_libraries: install the newest minor release' END,
    CASE WHEN k.plugins THEN p.statements
         WHEN v.own THEN ARRAY[format('ALTER ROLE %I NOREPLICATION', v.via_name)] ELSE v.leave END
  FROM via v CROSS JOIN knows k LEFT JOIN plugins p ON p.role = v.role
  WHERE v.rolreplication AND NOT v.rolsuper AND (p.role IS NOT NULL OR NOT k.plugins)
  UNION ALL
  SELECT v.role, 'CREATEROLE', v.through || 'grants itself any role but superusers, before PostgreSQL 16',
    CASE WHEN v.own THEN ARRAY[format('ALTER ROLE %I NOCREATEROLE', v.via_name)] ELSE v.leave END
  FROM via v WHERE v.rolcreaterole AND NOT v.rolsuper AND current_setting('server_version_num')::int < 160000
  UNION ALL
  SELECT v.role, v.via_name, k.detail, v.leave
  FROM via v JOIN (VALUES
    ('pg_read_all_data', 'reads every table'),
    ('pg_write_all_data', 'changes the rules and grants in cdc''s tables'),
    ('pg_read_server_files', 'reads the files of the server'),
    ('pg_write_server_files', 'writes the files of the server'),
    ('pg_execute_server_program', 'runs programs as the server''s user'),
    ('pg_read_all_stats', 'sees other sessions'' statements, with their values')) k(name, detail) ON k.name = v.via_name
$$;
REVOKE ALL ON FUNCTION cdc.report_role_ways() FROM PUBLIC;
COMMENT ON FUNCTION cdc.report_role_ways() IS 'For cdc.security_report(): ways around that attributes and memberships open.';

CREATE FUNCTION cdc.security_report(OUT role name, OUT way text, OUT detail text, OUT statements text[])
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
  WITH via AS MATERIALIZED (SELECT m.role, m.via, m.rolsuper, m.rolreplication, m.through, m.own, m.leave FROM cdc.report_memberships() m),
  grantee AS (
    SELECT v.role, v.via, v.through, v.rolsuper, CASE WHEN NOT v.own THEN v.leave END AS leave FROM via v
    UNION ALL
    SELECT DISTINCT v.role, 0::oid, 'as everyone (PUBLIC): ', false, NULL::text[] FROM via v
  ), found AS (
    SELECT r.role, r.way, r.detail, r.statements FROM cdc.report_role_ways() r
    UNION ALL
    SELECT v.role, o.way, v.through || o.detail, CASE WHEN NOT v.own THEN v.leave END
    FROM cdc.report_owned() o JOIN via v ON v.via = o.owner WHERE NOT v.rolsuper
    UNION ALL
    SELECT g.role, a.way, g.through || a.detail, CASE WHEN a.what IS NULL THEN g.leave ELSE
        CASE WHEN a.grantor <> a.owner THEN ARRAY[format('SET ROLE %I', pg_get_userbyid(a.grantor))] ELSE '{}' END
        || format('REVOKE %s FROM %s%s', a.what, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                  CASE WHEN a.grantable THEN ' CASCADE' END)
        || CASE WHEN a.grantor <> a.owner THEN ARRAY['RESET ROLE'] ELSE '{}' END END
    FROM (SELECT * FROM cdc.report_data_grants() UNION ALL SELECT * FROM cdc.report_server_grants()) a
      JOIN grantee g ON g.via = a.grantee
    WHERE a.what IS NOT NULL OR NOT g.rolsuper
    UNION ALL
    SELECT s.role, 'cdc.check_privileges is off', 'having REPLICATION, is sent every table, whatever it may SELECT or was granted' || s.set_by, s.statements
    FROM cdc.report_settings() s
    WHERE s.role IN (SELECT v.role FROM via v WHERE v.rolreplication) AND s.name = 'cdc.check_privileges' AND s.is_off
    UNION ALL
    SELECT s.role, 'the secret of hashes', 'lo_compat_privileges is on: reads all large objects' || s.set_by, s.statements
    FROM cdc.report_settings() s WHERE s.name = 'lo_compat_privileges' AND NOT s.is_off
      AND EXISTS (SELECT FROM cdc.redaction_secret)
  )
  SELECT r.rolname, f.way, f.detail, f.statements
  FROM found f JOIN pg_roles r ON r.oid = f.role
  ORDER BY r.rolname, f.way, f.detail
$$;
REVOKE ALL ON FUNCTION cdc.security_report() FROM PUBLIC;
COMMENT ON FUNCTION cdc.security_report() IS
  'The ways around cdc that are open on this server, a row for each consumer and way. statements: what closes it, for a superuser (SELECT unnest(statements) FROM cdc.security_report() \gexec); NULL where no statement does. No rows: nothing is known to be open. What it looks at, and what not: docs/security.md.';
