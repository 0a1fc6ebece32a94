-- A rule follows what it protects: the column under every name, what stands or has stood
-- at a name that a protected column has had, and partitions and children. Every value that
-- must not be sent says SECRET, every other one open.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA f;
SET search_path = f, public;
SELECT slot_name FROM cdc.create_slot('cdc_regress_follow');
CREATE FUNCTION sent() RETURNS TABLE (relation text, new jsonb) LANGUAGE sql AS $$
  SELECT r.relation, r.new FROM cdc.read('cdc_regress_follow') r WHERE op <> 'DELETE' $$;
CREATE FUNCTION leaks() RETURNS bigint LANGUAGE sql AS $$
  SELECT count(*) FROM cdc.read('cdc_regress_follow') r WHERE r.event::text ~ 'SECRET' $$;

-- renamed, and then replaced under the new name: add, copy, drop, rename
CREATE TABLE users (id int PRIMARY KEY, email text);
SELECT cdc.redact('users', 'email', 'drop') > 0 AS made;
ALTER TABLE users RENAME email TO mail;
INSERT INTO users VALUES (1, 'SECRET');
ALTER TABLE users ADD mail_new varchar(200);
ALTER TABLE users DROP mail;
ALTER TABLE users RENAME mail_new TO mail;
INSERT INTO users VALUES (2, 'SECRET');
-- away from the name: it has stood there
ALTER TABLE users RENAME mail TO other;
ALTER TABLE users ADD mail text, ADD email text, ADD open text;
INSERT INTO users VALUES (3, 'SECRET', 'SECRET', 'SECRET', 'open');
SELECT * FROM sent();

-- the table likewise: renamed, swapped for a copy, moved to another schema, dropped and made anew
CREATE TABLE people (id int PRIMARY KEY, email text);
SELECT cdc.redact('people', 'email', 'drop') > 0 AS made;
ALTER TABLE people RENAME TO persons;
INSERT INTO persons VALUES (1, 'SECRET');
CREATE TABLE persons_new (LIKE persons INCLUDING ALL);
ALTER TABLE persons RENAME TO persons_old;
ALTER TABLE persons_new RENAME TO persons;
INSERT INTO persons VALUES (2, 'SECRET');
CREATE SCHEMA f2;
ALTER TABLE persons SET SCHEMA f2;
INSERT INTO f2.persons VALUES (3, 'SECRET');
DROP TABLE f2.persons;
CREATE TABLE f2.persons (id int, open text, email text);
INSERT INTO f2.persons VALUES (4, 'open', 'SECRET');
ALTER SCHEMA f2 RENAME TO f3;
INSERT INTO f3.persons VALUES (5, 'open', 'SECRET');
DROP TABLE f3.persons;
CREATE TABLE f3.persons (id int, open text, email text);
INSERT INTO f3.persons VALUES (5, 'open', 'SECRET');
CREATE SCHEMA f2 CREATE TABLE persons (id int, email text, open text);
INSERT INTO f2.persons VALUES (6, 'SECRET', 'open');
ALTER TABLE f2.persons RENAME email TO e;
INSERT INTO f2.persons VALUES (7, 'SECRET', 'open');
SELECT * FROM sent();

-- a schema made anew with the table inside, and renamed before anything else
DROP SCHEMA f2 CASCADE;
CREATE SCHEMA f2 CREATE TABLE persons (id int, email text);
ALTER SCHEMA f2 RENAME TO f4;
ALTER TABLE f4.persons RENAME email TO x;
INSERT INTO f4.persons VALUES (1, 'SECRET');
-- what has the table's name and none of the columns is no matter
CREATE TABLE persons (id int, open text);
INSERT INTO persons VALUES (1, 'open');
SELECT * FROM sent();

-- typed tables
CREATE TYPE ty AS (id int, email text);
CREATE TABLE typed OF ty (PRIMARY KEY (id));
SELECT cdc.redact('typed', 'email', 'drop') > 0 AS made;
ALTER TYPE ty RENAME ATTRIBUTE email TO old_email CASCADE;
ALTER TYPE ty ADD ATTRIBUTE email text CASCADE;
INSERT INTO typed VALUES (1, 'SECRET', 'SECRET');
ALTER TYPE ty RENAME ATTRIBUTE email TO mail CASCADE;
INSERT INTO typed VALUES (2, 'SECRET', 'SECRET');
SELECT * FROM sent();

-- a table that ALTER INDEX renames
CREATE TABLE c (id int PRIMARY KEY, email text);
SELECT cdc.redact('c', 'email', 'drop') > 0 AS made;
ALTER TABLE c RENAME TO c_old;
CREATE TABLE c_new (id int PRIMARY KEY, email text);
ALTER INDEX c_new RENAME TO c;
INSERT INTO c VALUES (1, 'SECRET');
ALTER TABLE c RENAME TO c3;
INSERT INTO c3 VALUES (2, 'SECRET');
SELECT * FROM sent();

-- statements of which no event trigger hears are seen before the next one
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE CREATE TABLE c AS SELECT 1 AS id, ''SECRET''::text AS email'; END $$;
ALTER TABLE c RENAME email TO e;
ALTER TABLE c RENAME TO c4;
INSERT INTO c4 VALUES (1, 'SECRET');
BEGIN;
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE CREATE TABLE c AS SELECT 1 AS id, ''SECRET''::text AS email'; END $$;
ALTER TABLE c RENAME TO c5;
INSERT INTO c5 VALUES (1, 'SECRET');
COMMIT;
SELECT leaks();

-- partitions and children, and what has been one
CREATE TABLE root (id int, email text) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);
SELECT cdc.redact('root', 'email', 'drop') AS root_rule \gset
CREATE TABLE leaf2 PARTITION OF root FOR VALUES FROM (10) TO (20);
CREATE TABLE leaf3 (gone int, email text, id int);
ALTER TABLE leaf3 DROP gone;
INSERT INTO leaf3 VALUES ('open', 20);
SELECT new FROM sent();
ALTER TABLE root ATTACH PARTITION leaf3 FOR VALUES FROM (20) TO (30);
CREATE TABLE mid PARTITION OF root FOR VALUES FROM (30) TO (40) PARTITION BY RANGE (id);
CREATE TABLE leaf4 PARTITION OF mid FOR VALUES FROM (30) TO (40);
INSERT INTO root SELECT g * 10, 'SECRET' FROM generate_series(0, 3) g;
ALTER TABLE root RENAME email TO e2;
INSERT INTO root SELECT g * 10, 'SECRET' FROM generate_series(0, 3) g;
ALTER TABLE root DETACH PARTITION leaf2;
ALTER TABLE leaf2 RENAME e2 TO z;
ALTER TABLE leaf2 RENAME TO away;
INSERT INTO away VALUES (1, 'SECRET');
CREATE TABLE leaf2 (id int, z text, open text);
INSERT INTO leaf2 VALUES (1, 'SECRET', 'open');
DROP TABLE leaf4;
CREATE TABLE leaf4 (id int, open text, e2 text);
INSERT INTO leaf4 VALUES (1, 'open', 'SECRET');
SELECT relation, new FROM sent() WHERE new IS NOT NULL;
CREATE TABLE parent (id int, email text);
SELECT cdc.redact('parent', 'email', 'drop') > 0 AS made;
CREATE TABLE child (x text) INHERITS (parent);
CREATE TABLE later (email text, id int);
ALTER TABLE later INHERIT parent;
INSERT INTO child VALUES (1, 'SECRET', 'open');
INSERT INTO later VALUES ('SECRET', 1);
ALTER TABLE later NO INHERIT parent;
ALTER TABLE later RENAME email TO e;
INSERT INTO later VALUES ('SECRET', 2);
SELECT relation, new FROM sent();
-- what comes to a protected name with partitions, of which one leaves
CREATE TABLE renamed (id int, email text) PARTITION BY RANGE (id);
CREATE TABLE leaver PARTITION OF renamed FOR VALUES FROM (0) TO (10);
ALTER TABLE renamed RENAME TO people;
ALTER TABLE people DETACH PARTITION leaver;
INSERT INTO leaver VALUES (1, 'SECRET');
SELECT relation, new FROM sent();

-- what was rolled back has never been a name
CREATE TABLE own (id int, mine text);
BEGIN;
ALTER TABLE own RENAME mine TO email;
ALTER TABLE own RENAME TO parent2;
SAVEPOINT s;
ALTER TABLE parent RENAME TO parent3;
ALTER TABLE parent2 RENAME TO parent;
ROLLBACK TO s;
ALTER TABLE parent2 RENAME TO own2;
COMMIT;
INSERT INTO own2 VALUES (1, 'open');
CREATE SCHEMA f5 CREATE TABLE persons (id int, email text);
BEGIN;
SAVEPOINT s;
ALTER SCHEMA f5 RENAME TO f2;
ROLLBACK TO s;
ALTER TABLE f5.persons ADD more text;
COMMIT;
INSERT INTO f5.persons VALUES (1, 'open', 'open');
SELECT relation, new FROM sent();

-- nor is a name what was left, in the same transaction, before a protected column came to it
CREATE TABLE guarded (id int, email text, other text);
SELECT cdc.redact('guarded', 'email', 'drop') > 0 AS made;
CREATE TABLE place (id int, email text);
BEGIN;
ALTER TABLE place RENAME TO place_old;
ALTER TABLE guarded RENAME TO place;
ALTER TABLE place_old RENAME TO place_older;
ALTER TABLE place_older ADD x text;
COMMIT;
INSERT INTO place_older VALUES (1, 'open', 'open');
INSERT INTO place VALUES (2, 'SECRET', 'open');
BEGIN;
ALTER TABLE place RENAME other TO gone;
ALTER TABLE place RENAME email TO other;
ALTER TABLE place RENAME gone TO kept;
COMMIT;
INSERT INTO place VALUES (3, 'SECRET', 'open');
SELECT relation, new FROM sent();

-- in one transaction: with the rule, before it, and with the rename
CREATE TABLE tx (id int, v text);
BEGIN;
INSERT INTO tx VALUES (1, 'SECRET');
SELECT cdc.redact('tx', 'v', 'drop') AS tx_rule \gset
INSERT INTO tx VALUES (2, 'SECRET');
ALTER TABLE tx RENAME v TO w;
INSERT INTO tx VALUES (3, 'SECRET');
COMMIT;
BEGIN;
SELECT cdc.redact('tx', 'id', 'drop') > 0 AS made;
ROLLBACK;
INSERT INTO tx VALUES (4, 'SECRET');
SELECT leaks();
-- it ends by unredact alone; what was committed before stays protected
INSERT INTO tx VALUES (5, 'SECRET');
SELECT cdc.unredact(:tx_rule);
INSERT INTO tx VALUES (6, 'open');
SELECT new FROM sent();
-- no slot needs it any more
SELECT cdc.prune_rules();
SELECT count(*) FROM cdc.redaction_rule WHERE id = :tx_rule;
SELECT (SELECT count(*) FROM cdc.redaction_name WHERE rule_id = :tx_rule), (SELECT count(*) FROM cdc.redaction_column WHERE rule_id = :tx_rule);

-- columns of tables that are gone are not kept for ever
SELECT count(*) AS dropped FROM cdc.redaction_column WHERE dropped_at IS NOT NULL;
DO $$ BEGIN
  FOR i IN 1..20 LOOP
    CREATE TABLE rotating PARTITION OF root FOR VALUES FROM (100) TO (200);
    DROP TABLE rotating;
  END LOOP;
END $$;
SELECT count(*) AS names FROM cdc.redaction_name WHERE table_name = 'rotating';
SELECT count(*) AS dropped FROM cdc.redaction_column WHERE dropped_at IS NOT NULL;
SELECT cdc.advance_slot('cdc_regress_follow', pg_current_wal_lsn()) IS NOT NULL AS advanced;
SELECT cdc.prune_rules();
SELECT count(*) AS dropped FROM cdc.redaction_column WHERE dropped_at IS NOT NULL;

-- without the event triggers names still count
ALTER EVENT TRIGGER cdc_follow_rules DISABLE;
CREATE TABLE part5 PARTITION OF root FOR VALUES FROM (300) TO (400);
INSERT INTO root VALUES (300, 'SECRET');
SELECT leaks();
-- and what was recorded before: a number; so do ancestors, of which some were not seen
CREATE TABLE mid2 PARTITION OF root FOR VALUES FROM (400) TO (500) PARTITION BY RANGE (id);
CREATE TABLE leaf5 PARTITION OF mid2 FOR VALUES FROM (400) TO (450);
ALTER EVENT TRIGGER cdc_follow_rules ENABLE ALWAYS;
CREATE TABLE leaf6 PARTITION OF mid2 FOR VALUES FROM (450) TO (500);
ALTER TABLE mid2 DETACH PARTITION leaf6;
CREATE TABLE leaf7 PARTITION OF root FOR VALUES FROM (500) TO (600);
ALTER TABLE root DETACH PARTITION leaf7;
CREATE TABLE restored (id int, v text);
SELECT cdc.redact('restored', 'v', 'drop') AS restored_rule \gset
-- (a restore brings no numbers)
SELECT cdc.drop_row(k) FROM cdc.redaction_column k WHERE relation = 0 AND rule_id = :restored_rule;
ALTER EVENT TRIGGER cdc_follow_rules DISABLE;
ALTER TABLE leaf7 RENAME e2 TO unseen;
ALTER TABLE restored RENAME v TO w;
ALTER EVENT TRIGGER cdc_follow_rules ENABLE ALWAYS;
INSERT INTO leaf6 VALUES (450, 'SECRET');
INSERT INTO leaf7 VALUES (500, 'SECRET');
INSERT INTO restored VALUES (1, 'SECRET');
SELECT relation, new FROM sent();

-- what waits from before a rename that came before the rule: the column is the same
CREATE TABLE earlier (id int, a text);
INSERT INTO earlier VALUES (1, 'SECRET');
ALTER TABLE earlier RENAME a TO b;
SELECT cdc.redact('earlier', 'b', 'drop') > 0 AS made;
SELECT leaks();

-- a column that has left its name before the table comes to a protected one was never there
CREATE SCHEMA f6;
CREATE TABLE f6.passing (id int PRIMARY KEY, email text);
SELECT cdc.redact('f6.passing', 'email', 'drop') > 0 AS made;
DROP SCHEMA f6 CASCADE;
CREATE SCHEMA f7;
CREATE TABLE f7.passing (id int PRIMARY KEY, email text);
BEGIN;
ALTER TABLE f7.passing RENAME email TO open;
ALTER SCHEMA f7 RENAME TO f6;
INSERT INTO f6.passing VALUES (1, 'open');
COMMIT;
-- but one that has it then is protected, whatever it is called later
CREATE SCHEMA f8;
CREATE TABLE f8.passing (id int, email text);
BEGIN;
ALTER TABLE f6.passing RENAME TO passed;
ALTER TABLE f8.passing SET SCHEMA f6;
ALTER TABLE f6.passing RENAME email TO other;
INSERT INTO f6.passing VALUES (2, 'SECRET');
COMMIT;
SELECT * FROM sent();

-- what a column is called after its rule was removed is not protected, nor was it before
CREATE SCHEMA f9;
CREATE TABLE f9.ruled (id int, email text);
CREATE TABLE f9.free (id int, email text);
SELECT cdc.redact('f9.ruled', 'email', 'drop') AS ruled \gset
INSERT INTO f9.ruled VALUES (1, 'SECRET');
INSERT INTO f9.free VALUES (1, 'open');
SELECT cdc.unredact(:ruled);
ALTER TABLE f9.free RENAME TO freed;
ALTER TABLE f9.ruled RENAME TO free;
SELECT * FROM sent();

-- a column that is gone has no name
SELECT count(*) FROM cdc.redaction_name WHERE column_name ~ 'dropped';

-- errors
CREATE TEMP TABLE temporary (id int, v text);
SELECT cdc.redact('temporary', 'v', 'drop');
CREATE UNLOGGED TABLE unlogged (id int, v text);
SELECT cdc.redact('unlogged', 'v', 'drop');
SELECT cdc.redact('cdc.redaction_rule', 'value', 'drop');
SELECT cdc.redact('root', 'nothing', 'drop');
SELECT cdc.confirm_rule(0);
UPDATE cdc.redaction_name SET rule_id = 0;
DELETE FROM cdc.redaction_column;
TRUNCATE cdc.redaction_rule;

SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;
SELECT cdc.drop_slot('cdc_regress_follow');
SELECT cdc.prune_rules();
SELECT (SELECT count(*) FROM cdc.redaction_rule), (SELECT count(*) FROM cdc.redaction_name), (SELECT count(*) FROM cdc.redaction_column);
DROP SCHEMA f, f3, f4, f5, f6, f8, f9 CASCADE;
