-- What the registry sees of DDL: everything that changes a registered table, whatever
-- command does it, and nothing else.
\set SHOW_CONTEXT never
CREATE FUNCTION schemas() RETURNS TABLE (name text, version text, command text) LANGUAGE sql AS
$$ SELECT relation::text, format('%s.%s', major, minor), command FROM cdc.schema_versions WHERE current ORDER BY 1 $$;
-- registered tables that the registry has missed
CREATE FUNCTION missed() RETURNS SETOF regclass LANGUAGE sql AS
$$ SELECT relation FROM cdc.schema_versions v, cdc.describe_schema(v.relation) d WHERE current AND fingerprint <> left(encode(sha256(d.descriptor), 'hex'), 16) $$;
SELECT cdc.set_enforcement('warn');
SET client_min_messages = error;

-- ancestors, however far away
CREATE TABLE root (id int, region text, v int, w text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE middle PARTITION OF root FOR VALUES IN ('eu') PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF middle FOR VALUES FROM (0) TO (100);
CREATE TABLE parent (id int PRIMARY KEY, a int);
CREATE TABLE child (b int) INHERITS (parent);
CREATE TABLE grandchild (c int) INHERITS (child);
SELECT cdc.register(t) FROM unnest('{leaf,grandchild}'::regclass[]) t;
ALTER TABLE root RENAME v TO vv;
ALTER TABLE root ALTER w TYPE int USING length(w);
ALTER TABLE root ADD z int NOT NULL DEFAULT 1;
ALTER TABLE parent RENAME a TO aa;
ALTER TABLE parent ADD d int;
SELECT * FROM schemas();
SELECT * FROM missed();

-- types of tables, schemas with what is in them, names that belong to indexes by their command
CREATE TYPE shape AS (id int, v text);
CREATE TABLE typed OF shape (PRIMARY KEY (id));
CREATE DOMAIN short AS text;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN feeling AS mood;
CREATE TABLE felt (id int PRIMARY KEY, s short, f feeling, m mood[]);
CREATE SCHEMA cdc_regress_shop;
CREATE TABLE cdc_regress_shop.goods (id int PRIMARY KEY);
SELECT cdc.register(t) FROM unnest('{typed,felt,cdc_regress_shop.goods}'::regclass[]) t;
ALTER TYPE shape RENAME ATTRIBUTE v TO vv CASCADE;
ALTER TYPE shape ADD ATTRIBUTE w int CASCADE;
ALTER DOMAIN short RENAME TO shorter;
SELECT * FROM schemas() WHERE name IN ('typed', 'felt');
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
ALTER TYPE mood SET SCHEMA cdc_regress_shop;
SELECT * FROM schemas() WHERE name IN ('typed', 'felt');
SELECT * FROM missed();
ALTER SCHEMA cdc_regress_shop RENAME TO cdc_regress_store;
ALTER INDEX cdc_regress_store.goods RENAME TO wares;
SELECT * FROM schemas() WHERE name ~ 'wares';
CREATE SCHEMA cdc_regress_other
  CREATE TABLE moved (LIKE parent)
  CREATE INDEX ON moved (id);
DROP DOMAIN shorter CASCADE;
SELECT * FROM missed();
-- in functions, several at once, and what is undone
DO $$ BEGIN ALTER TABLE typed RENAME TO named; ALTER TABLE named SET SCHEMA cdc_regress_other; ALTER TABLE felt ADD x int; END $$;
BEGIN;
SAVEPOINT a;
ALTER TABLE felt ADD y int;
ROLLBACK TO a;
ALTER TABLE felt ADD z int;
COMMIT;
SELECT * FROM schemas();
SELECT * FROM missed();
-- of the command its tag and object are kept, and nothing that stood beside it
SELECT count(*) FROM cdc.schema_detail d WHERE d::text ~ 'USING|unnest|DEFAULT';
SELECT DISTINCT command FROM cdc.schema_audit WHERE action = 'change' ORDER BY 1;

-- a number means one schema, also where names are exchanged
CREATE TABLE one (id int PRIMARY KEY);
CREATE TABLE two (id int PRIMARY KEY, v text);
SELECT cdc.register(t, 'none') FROM unnest('{one,two}'::regclass[]) t;
ALTER TABLE two ADD w text;
ALTER TABLE one RENAME TO three;
ALTER TABLE two RENAME TO one;
ALTER TABLE three RENAME TO two;
ALTER TABLE one DROP w;
CREATE TABLE three (id int PRIMARY KEY);
SELECT cdc.register('three', 'none');
SELECT schema_name, table_name, major, count(DISTINCT sha256), count(*), status FROM cdc.schema_detail
WHERE table_name IN ('one', 'two', 'three') GROUP BY 1, 2, 3, minor, status ORDER BY 1, 2, 3;
SELECT relation, major, minor, current FROM cdc.schema_versions WHERE relation IN ('one'::regclass, 'two', 'three') ORDER BY relation::text, 2, 3;
SELECT count(*) AS ambiguous FROM (SELECT FROM cdc.schema_detail GROUP BY sha256 HAVING count(DISTINCT major) > 1) a;
SELECT * FROM missed();

-- what is never sent is refused
SET client_min_messages = notice;
CREATE TEMP TABLE passing (id int PRIMARY KEY);
CREATE UNLOGGED TABLE light (id int PRIMARY KEY);
SELECT cdc.register('passing');
SELECT cdc.register('light');
SELECT cdc.register('cdc.schema_detail');

-- a table that goes without being seen breaks nothing for others
SELECT cdc.register_reader('x', 'three', version => 1);
ALTER EVENT TRIGGER cdc_record_schemas DISABLE;
DROP TABLE three;
ALTER EVENT TRIGGER cdc_record_schemas ENABLE ALWAYS;
SELECT count(*) FROM cdc.proto_files();
SELECT count(*) FROM cdc.export_schemas();
SELECT count(*) FROM cdc.readers;
SELECT count(DISTINCT relation) FROM cdc.schema_versions;
ALTER TABLE one ADD seen int;
SELECT * FROM cdc.refresh_registry();
SELECT action, relation, reason FROM cdc.schema_audit ORDER BY at DESC LIMIT 1;
SELECT * FROM cdc.refresh_registry();

-- a command that concerns all tables has all of them looked at
ALTER EVENT TRIGGER cdc_record_schemas DISABLE;
ALTER TABLE one ADD unseen int;
ALTER EVENT TRIGGER cdc_record_schemas ENABLE ALWAYS;
SELECT * FROM missed();
CREATE PUBLICATION cdc_regress_all FOR ALL TABLES;
SELECT * FROM missed();
DROP PUBLICATION cdc_regress_all;

-- the level is the database's: no setting, of whatever name, counts
SELECT cdc.register('one', 'full');
SELECT cdc.set_enforcement('reject');
SET cdc.schema_enforcement = off;
ALTER TABLE one DROP v;
SELECT cdc.set_enforcement('off');
ALTER TABLE one DROP v;

-- descriptors are data: what is in them is looked at before it is used
SELECT * FROM cdc.compare_schemas('\xff', '\xff');
-- a replica identity and a column's type that there are not
SELECT * FROM cdc.compare_schemas('\x20ffffff07', '');
SELECT * FROM cdc.compare_schemas('\x1a05080120ff7f', '');
-- a column without a type
SELECT * FROM cdc.compare_schemas('\x1a020801', '');

DROP TABLE root, parent, child, grandchild, felt, one, two, light, passing;
DROP TYPE shape CASCADE;
SET client_min_messages = warning;
DROP SCHEMA cdc_regress_store, cdc_regress_other CASCADE;
SELECT count(*) FROM cdc.registered_table;
SELECT count(*) FROM cdc.registered_relation;
SELECT bool_and(cdc.drop_row(d)) FROM cdc.schema_detail d;
SELECT bool_and(cdc.drop_row(a)) FROM cdc.schema_audit a;
SELECT bool_and(cdc.drop_row(e)) FROM cdc.schema_enforcement e;
DROP FUNCTION schemas, missed;
