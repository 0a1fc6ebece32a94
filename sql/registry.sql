-- The registry: versions of schemas, what breaks whom, and the gate.
\set SHOW_CONTEXT never
CREATE FUNCTION versions(t regclass) RETURNS TABLE (version text, current boolean, status text, reason text) LANGUAGE sql AS
$$ SELECT format('%s.%s', major, minor), current, status, reason FROM cdc.schema_versions WHERE relation = t ORDER BY major, minor $$;
-- what a change of a table is found to be, by rule
CREATE FUNCTION verdict(ddl text) RETURNS TABLE (rule text, breaks text, level text, col text) LANGUAGE plpgsql AS $$
DECLARE
  subject regclass := 'subject';
  before record;
  enums jsonb := cdc.enum_labels('subject');
BEGIN
  SELECT d.* INTO before FROM cdc.describe_schema(subject) d;
  EXECUTE ddl;
  RETURN QUERY SELECT f.rule, concat_ws(' and ', CASE WHEN f.backward THEN 'backward' END, CASE WHEN f.forward THEN 'forward' END), CASE WHEN f.wire THEN 'wire' ELSE 'file' END, f.column_name
  FROM cdc.describe_schema(subject) d, cdc.breaking_changes(before.descriptor, enums, d.descriptor, cdc.enum_labels(subject), d.defaults, 'full', 'file') f;
  RAISE EXCEPTION 'undo';
EXCEPTION WHEN raise_exception THEN
  RETURN;
END $$;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE subject (id int PRIMARY KEY, big bigint NOT NULL, name varchar(10), note text, price numeric(5,2), m mood, day date, ts timestamp, raw bytea, u uuid, tags text[], nums int[], f real);
CREATE SCHEMA cdc_regress_other;
CREATE TABLE forms (n serial, ddl text);
INSERT INTO forms (ddl) VALUES
  ('ADD x int'), ('ADD x int NOT NULL'), ('ADD x int NOT NULL DEFAULT 1'), ('ADD x float NOT NULL DEFAULT random()'), ('DROP note'), ('DROP note, ADD note text'), ('RENAME note TO remark'),
  ('ALTER id TYPE bigint'), ('ALTER id TYPE smallint'), ('ALTER big TYPE int'), ('ALTER name TYPE varchar(20)'), ('ALTER name TYPE text'), ('ALTER price TYPE numeric(7,2)'),
  ('ALTER price TYPE text'), ('ALTER note TYPE jsonb USING to_jsonb(note)'), ('ALTER price TYPE float'), ('ALTER f TYPE float8'), ('ALTER day TYPE timestamp'), ('ALTER ts TYPE timestamptz'), ('ALTER note TYPE int USING 1'), ('ALTER u TYPE bytea USING raw'),
  ('ALTER tags TYPE int[] USING nums'), ('ALTER nums TYPE bigint[]'), ('ALTER tags TYPE varchar(3)[]'), ('ALTER note SET NOT NULL'), ('ALTER big DROP NOT NULL'), ('ALTER note SET DEFAULT 1'),
  ('DROP CONSTRAINT subject_pkey, ADD PRIMARY KEY (id, big)'), ('DROP CONSTRAINT subject_pkey'), ('REPLICA IDENTITY FULL'), ('REPLICA IDENTITY NOTHING'), ('RENAME TO other'), ('SET SCHEMA cdc_regress_other'), ('SET UNLOGGED'), ('ADD CHECK (id > 0)'), ('DISABLE TRIGGER ALL');
SELECT ddl, v.* FROM forms LEFT JOIN LATERAL (SELECT string_agg(format('%s %s (%s)%s', rule, breaks, level, ' ' || col), '; ') AS verdict FROM verdict('ALTER TABLE subject ' || ddl)) v ON true ORDER BY n;
SELECT * FROM verdict('ALTER TYPE mood RENAME VALUE ''ok'' TO ''fine''');
-- a name that another column gets, of one that is still there: renamed, and not made anew
SELECT * FROM verdict('ALTER TABLE subject RENAME note TO remark; ALTER TABLE subject ADD note text');
-- an index for REPLICA IDENTITY logs as much as the primary key
SELECT * FROM verdict('ALTER TABLE subject REPLICA IDENTITY USING INDEX subject_pkey');
ALTER TABLE subject REPLICA IDENTITY USING INDEX subject_pkey;
SELECT * FROM verdict('ALTER TABLE subject REPLICA IDENTITY DEFAULT');
SELECT * FROM verdict('ALTER TABLE subject REPLICA IDENTITY FULL');
SELECT * FROM verdict('ALTER TABLE subject REPLICA IDENTITY NOTHING');
ALTER TABLE subject REPLICA IDENTITY FULL;
SELECT * FROM verdict('ALTER TABLE subject REPLICA IDENTITY DEFAULT');

-- versions and the gate
DROP TABLE forms;
DROP SCHEMA cdc_regress_other;
CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, total numeric(12,2), m mood);
SELECT cdc.register('orders', reason => 'for billing');
SELECT cdc.register_reader('billing', 'orders', fingerprint => (SELECT fingerprint FROM cdc.schema_versions));
SELECT cdc.set_enforcement('reject');
ALTER TABLE orders ADD note text;
ALTER TABLE orders ADD at timestamptz NOT NULL DEFAULT '2026-01-01';
SELECT * FROM versions('orders');
ALTER TABLE orders DROP total;
ALTER TABLE orders RENAME customer TO client;
ALTER TYPE mood ADD VALUE 'great';
DROP TABLE orders;
-- a name that means another column: what fools those who go by names
BEGIN;
ALTER TABLE orders DROP note, ADD note text;
ROLLBACK;
-- types, schemas and indexes are looked at, too
ALTER TYPE mood RENAME TO feeling;
DROP TYPE feeling CASCADE;
CREATE SCHEMA elsewhere;
ALTER TABLE orders SET SCHEMA elsewhere;
DROP SCHEMA elsewhere;
-- superusers are not exempt; tables that are not registered are free
CREATE TABLE free (id int);
ALTER TABLE free DROP id;
DROP TABLE free;
-- on purpose
BEGIN;
SELECT cdc.allow_breaking('  ');
ROLLBACK;
BEGIN;
SELECT cdc.allow_breaking('total is in cents now');
ALTER TABLE orders DROP total;
ALTER TABLE orders ADD cents bigint;
COMMIT;
ALTER TABLE orders DROP cents;
SELECT * FROM versions('orders');
SELECT consumer, reads, current, breaks FROM cdc.readers;
SELECT version, rule, column_name FROM cdc.check_compatibility('orders');
SELECT count(*) AS forward FROM cdc.check_compatibility('orders', 'forward');
SELECT count(*) AS backward FROM cdc.check_compatibility('orders', 'backward');
SELECT cdc.assert_compatible('orders');
SELECT cdc.retire_version('orders', 2);
SELECT cdc.retire_version('orders', 1, grace => '1 day', reason => 'billing is told');
SELECT version, status FROM versions('orders');
SELECT count(*) AS in_grace FROM cdc.check_compatibility('orders');
SELECT cdc.retire_version('orders', 1);
SELECT cdc.assert_compatible('orders');
-- a schema that returns has its former number
SELECT cdc.set_enforcement('warn');
ALTER TABLE orders REPLICA IDENTITY FULL;
SELECT version, current FROM versions('orders');
ALTER TABLE orders REPLICA IDENTITY DEFAULT;
SELECT version, current FROM versions('orders');
SELECT cdc.set_enforcement('off');
ALTER TABLE orders ALTER customer DROP NOT NULL;
SELECT version, current FROM versions('orders');
SELECT cdc.set_enforcement('warn');
-- modes and levels
SELECT cdc.register('orders', 'backward', 'wire');
SELECT cdc.set_enforcement('reject');
ALTER TABLE orders RENAME customer TO client;
ALTER TABLE orders DROP note;
ALTER TABLE orders ALTER client SET NOT NULL;
SELECT version, current FROM versions('orders');
SELECT cdc.register('orders', 'none');
ALTER TABLE orders ALTER client SET NOT NULL;
-- the stream says the version of a row's schema, as the registry knows it now
SELECT cdc.set_enforcement('warn');
SELECT slot_name FROM cdc.create_slot('cdc_regress_registry');
-- the fields of a message; content is a number, or bytes
CREATE FUNCTION fields(message bytea) RETURNS TABLE (number bigint, value bigint, content bytea) LANGUAGE plpgsql AS $$
DECLARE
  at int := 0;
  kind bigint;
BEGIN
  WHILE at < length(message) LOOP
    FOR tag IN 0..1 LOOP
      CONTINUE WHEN tag = 1 AND kind & 7 NOT IN (0, 2);
      value := 0;
      FOR n IN 0..9 LOOP
        value := value | ((get_byte(message, at)::bigint & 127) << (7 * n));
        at := at + 1;
        EXIT WHEN get_byte(message, at - 1) < 128;
      END LOOP;
      kind := CASE tag WHEN 0 THEN value ELSE kind END;
    END LOOP;
    number := kind >> 3;
    content := substr(message, at + 1, CASE kind & 7 WHEN 0 THEN 0 WHEN 1 THEN 8 WHEN 2 THEN value::int ELSE 4 END);
    at := at + length(content);
    RETURN NEXT;
  END LOOP;
END $$;
CREATE FUNCTION stream_versions() RETURNS TABLE (schemas text) LANGUAGE sql AS $$
  -- fields 6 of batches, of which 3 is the version; a batch has its length before it, in one or two bytes
  SELECT string_agg(DISTINCT version.value::text, ',')
  FROM pg_logical_slot_peek_binary_changes('cdc_regress_registry', NULL, NULL, 'tables', 'public.orders')
    LEFT JOIN LATERAL fields(substr(data, CASE WHEN get_byte(data, 0) < 128 THEN 2 ELSE 3 END)) f ON f.number = 6
    LEFT JOIN LATERAL fields(f.content) version ON version.number = 3
  GROUP BY lsn, xid::text ORDER BY lsn $$;
INSERT INTO orders (id, client) VALUES (1, 'a');
SELECT cdc.register('orders', 'full');
ALTER TABLE orders DROP at;
INSERT INTO orders (id, client) VALUES (2, 'b');
BEGIN;
INSERT INTO orders (id, client) VALUES (3, 'b');
ALTER TABLE orders ADD z int NOT NULL;
ROLLBACK;
BEGIN;
ALTER TABLE orders RENAME client TO who;
INSERT INTO orders (id, who) VALUES (4, 'b');
COMMIT;
SELECT * FROM stream_versions();
SELECT cdc.unregister('orders', 'not needed');
INSERT INTO orders (id, who) VALUES (5, 'b');
SELECT * FROM stream_versions();
SELECT cdc.drop_slot('cdc_regress_registry');
-- registered again it goes on counting
SELECT cdc.register('orders');
ALTER TABLE orders ADD again int;
DROP TABLE orders;
SELECT count(*) FROM cdc.registered_table;
CREATE TABLE orders (id int PRIMARY KEY);
SELECT cdc.register('orders');
-- what older rows have for a column is of the table, not of its schema: a rewrite takes it away
CREATE TABLE rewritten (id int PRIMARY KEY);
SELECT cdc.register('rewritten');
ALTER TABLE rewritten ADD x int DEFAULT 5;
VACUUM FULL rewritten;
ALTER TABLE rewritten SET (fillfactor = 90);
SELECT version, current FROM versions('rewritten');
SELECT cdc.unregister('rewritten');
DROP TABLE rewritten;
-- comparing with another database
SELECT count(*) AS lines, min(line::jsonb ->> 'table') AS of FROM cdc.export_schemas() line;
SELECT line AS baseline FROM cdc.export_schemas() line \gset
SELECT count(*) FROM cdc.check_export(:'baseline');
ALTER TABLE orders ALTER id TYPE bigint;
SELECT relation, version, rule, column_name FROM cdc.check_export(:'baseline');
SELECT cdc.unregister('orders');
DROP TABLE orders;
SELECT relation, version, rule FROM cdc.check_export(:'baseline');
-- errors
SELECT cdc.set_enforcement('sometimes');
SELECT cdc.check_export('nonsense');
SELECT cdc.check_export('{}');
SELECT cdc.register('pg_class');
SELECT cdc.register('subject', 'sideways');
SELECT cdc.check_compatibility('subject');
SELECT cdc.unregister('subject');
SELECT cdc.register('subject');
SELECT cdc.register_reader('x', 'subject', version => 7);
SELECT cdc.register_reader('x', 'subject');
SELECT cdc.retire_version('subject', 1);
SELECT cdc.retire_version('subject', 7);
SELECT cdc.check_compatibility('subject', 'sideways');
SELECT cdc.unregister('subject');
SELECT action, relation, version, reason, jsonb_array_length(findings) AS findings FROM cdc.schema_audit WHERE relation LIKE 'public.%' ORDER BY at;
DROP TABLE subject;
DROP TYPE feeling;
DROP FUNCTION verdict, versions, stream_versions, fields;
SELECT bool_and(cdc.drop_row(d)) FROM cdc.schema_detail d;
SELECT bool_and(cdc.drop_row(a)) FROM cdc.schema_audit a;
SELECT bool_and(cdc.drop_row(e)) FROM cdc.schema_enforcement e;
