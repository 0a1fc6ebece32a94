-- Schema changes between and inside transactions.
SELECT slot_name FROM cdc.create_slot('cdc_regress_ddl');

CREATE TABLE t (a int PRIMARY KEY, b text, c int);
INSERT INTO t VALUES (1, 'b', 1);
ALTER TABLE t ADD COLUMN d text;
INSERT INTO t VALUES (2, 'b', 2, 'd');
ALTER TABLE t DROP COLUMN b;
INSERT INTO t VALUES (3, 3, 'd');
ALTER TABLE t ADD COLUMN b int;
INSERT INTO t VALUES (4, 4, 'd', 4);
ALTER TABLE t RENAME COLUMN d TO e;
INSERT INTO t VALUES (5, 5, 'e', 5);
UPDATE t SET e = 'ee' WHERE a = 1;
ALTER TABLE t RENAME TO u;
INSERT INTO u VALUES (6);
CREATE SCHEMA s;
ALTER TABLE u SET SCHEMA s;
INSERT INTO s.u VALUES (7);
ALTER SCHEMA s RENAME TO "S s";
INSERT INTO "S s".u VALUES (8);
SELECT changes('cdc_regress_ddl');

-- inside a transaction, with a rolled back part
BEGIN;
INSERT INTO "S s".u VALUES (20);
ALTER TABLE "S s".u ADD COLUMN f int DEFAULT 7;
INSERT INTO "S s".u VALUES (21);
SAVEPOINT a;
ALTER TABLE "S s".u DROP COLUMN f;
INSERT INTO "S s".u VALUES (22);
ROLLBACK TO a;
INSERT INTO "S s".u VALUES (23);
COMMIT;
SELECT changes('cdc_regress_ddl');
DROP SCHEMA "S s" CASCADE;

-- A default that older rows get is in the schema, one that is computed for
-- each row comes as a rewrite.
CREATE TABLE m (a int PRIMARY KEY);
INSERT INTO m VALUES (1), (2);
ALTER TABLE m ADD COLUMN t text DEFAULT 'old', ADD COLUMN n numeric DEFAULT 1.50, ADD COLUMN x int DEFAULT NULL;
INSERT INTO m VALUES (3, 'new');
SELECT changes('cdc_regress_ddl');
SELECT c->>'name' AS name, c->'missing' AS missing
FROM jsonb_array_elements(cdc.table_schema('m')->'columns') c;
ALTER TABLE m ADD COLUMN v bigint GENERATED ALWAYS AS IDENTITY;
SELECT changes('cdc_regress_ddl');
-- rewritten rows have the value in themselves
SELECT c->>'name' AS name, c->'missing' AS missing
FROM jsonb_array_elements(cdc.table_schema('m')->'columns') c;

-- Changed types: two rewrites in one transaction.
CREATE TABLE r (a int PRIMARY KEY, b int, big text);
ALTER TABLE r ALTER big SET STORAGE EXTERNAL;
INSERT INTO r VALUES (1, 1), (2, 2);
BEGIN;
ALTER TABLE r ALTER b TYPE text USING 'n' || b;
INSERT INTO r VALUES (3, 'n3');
ALTER TABLE r ALTER a TYPE bigint;
UPDATE r SET b = 'x' WHERE a = 1;
COMMIT;
SELECT changes('cdc_regress_ddl');
ALTER TABLE r ALTER b TYPE varchar(5);
ALTER TABLE r ALTER b TYPE varchar(10);
INSERT INTO r VALUES (4, 'n4');
SELECT changes('cdc_regress_ddl');
-- without rewrites
ALTER TABLE r ALTER a TYPE int;
INSERT INTO r VALUES (5, 'n5');
SELECT changes('cdc_regress_ddl', 'rewrites', 'off');
-- these rewrite files, not rows
VACUUM FULL r;
CLUSTER r USING r_pkey;
SELECT changes('cdc_regress_ddl');
-- out-of-line values come with a rewrite
UPDATE r SET big = repeat('x', 5000) WHERE a = 1;
DELETE FROM r WHERE a > 1;
ALTER TABLE r ALTER a TYPE bigint;
SELECT regexp_replace(changes('cdc_regress_ddl'), '(x{20})x+', '\1...', 'g');

-- dropped and made again under the same name, in one transaction
BEGIN;
INSERT INTO r VALUES (10, 'old');
DROP TABLE r;
CREATE TABLE r (z text PRIMARY KEY);
INSERT INTO r VALUES ('new');
COMMIT;
SELECT changes('cdc_regress_ddl');

-- a renamed type changes the schema
CREATE TYPE mood AS ENUM ('sad');
ALTER TABLE r ADD COLUMN m mood;
SELECT cdc.fingerprint('r') AS before \gset
ALTER TYPE mood RENAME TO feeling;
SELECT cdc.fingerprint('r') <> :'before' AS changed;
ALTER TYPE feeling ADD VALUE 'glad';
CREATE DOMAIN old_name AS int;
ALTER TABLE r ADD COLUMN d old_name, ADD COLUMN e feeling[];
BEGIN;
INSERT INTO r VALUES ('1', 'glad', 1, '{sad}');
ALTER DOMAIN old_name RENAME TO new_name;
INSERT INTO r VALUES ('2', 'glad', 1, '{sad}');
ALTER TYPE feeling RENAME TO mood;
INSERT INTO r VALUES ('3', 'glad', 1, '{sad}');
ALTER TYPE mood RENAME TO feeling;
COMMIT;
-- three schemas, the last one named after both changes
SELECT count(DISTINCT fingerprint) AS schemas, count(*) FROM cdc.peek('cdc_regress_ddl');
SELECT changes('cdc_regress_ddl');
INSERT INTO r VALUES ('x', 'glad');
SELECT changes('cdc_regress_ddl');

SELECT cdc.drop_slot('cdc_regress_ddl');
DROP TABLE m, r;
DROP TYPE feeling;
DROP DOMAIN new_name;
