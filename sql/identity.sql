-- Which columns stand where, under each replica identity.
SELECT slot_name FROM cdc.create_slot('cdc_regress_identity');

-- DEFAULT with a primary key: no before image but a changed key.
CREATE TABLE d (a int, b int, c text, e text, PRIMARY KEY (b, a));
INSERT INTO d VALUES (1, 2, 'c', NULL);
UPDATE d SET c = 'cc' WHERE a = 1;
UPDATE d SET c = 'cc' WHERE a = 1;
UPDATE d SET a = 10, e = 'e' WHERE a = 1;
UPDATE d SET c = NULL WHERE a = 10;
DELETE FROM d;
SELECT changes('cdc_regress_identity');

-- DEFAULT without a primary key: which row it was is unknown.
CREATE TABLE n (a int, b text);
INSERT INTO n VALUES (1, 'x');
UPDATE n SET b = 'y';
DELETE FROM n;
SELECT changes('cdc_regress_identity');

-- A deferrable primary key is none.
CREATE TABLE late (a int PRIMARY KEY DEFERRABLE, b text);
INSERT INTO late VALUES (1, 'x');
UPDATE late SET a = 2;
DELETE FROM late;
ALTER TABLE late REPLICA IDENTITY FULL;
INSERT INTO late VALUES (1, 'x');
UPDATE late SET a = 2;
DELETE FROM late;
SELECT changes('cdc_regress_identity');

-- USING INDEX
CREATE TABLE i (a int PRIMARY KEY, b text NOT NULL, c int);
CREATE UNIQUE INDEX i_b ON i (b) INCLUDE (c);
ALTER TABLE i REPLICA IDENTITY USING INDEX i_b;
INSERT INTO i VALUES (1, 'one', 1);
UPDATE i SET c = 2;
UPDATE i SET a = 2;
UPDATE i SET b = 'two';
DELETE FROM i;
-- its index dropped: no identity
DROP INDEX i_b;
INSERT INTO i VALUES (1, 'one', 1);
UPDATE i SET c = 2;
DELETE FROM i;
SELECT changes('cdc_regress_identity');

-- FULL with a primary key: what changed, and what it was.
CREATE TABLE f (a int PRIMARY KEY, b text, c int, d text);
ALTER TABLE f REPLICA IDENTITY FULL;
INSERT INTO f VALUES (1, 'b', NULL, 'd');
UPDATE f SET b = 'bb';
UPDATE f SET c = 3, d = NULL;
UPDATE f SET b = b;
UPDATE f SET a = 2, c = 4;
UPDATE f SET a = 3;
SELECT changes('cdc_regress_identity');
UPDATE f SET b = 'bbb';
DELETE FROM f;
SELECT changes('cdc_regress_identity', 'old', 'full');

-- FULL without a key: the whole row is the identity.
CREATE TABLE g (a int, b text, c int);
ALTER TABLE g REPLICA IDENTITY FULL;
INSERT INTO g VALUES (1, 'b', NULL);
UPDATE g SET c = 3;
UPDATE g SET b = NULL;
DELETE FROM g;
SELECT changes('cdc_regress_identity');

-- NOTHING: keys in INSERT, none elsewhere.
CREATE TABLE o (a int PRIMARY KEY, b text);
ALTER TABLE o REPLICA IDENTITY NOTHING;
INSERT INTO o VALUES (1, 'b');
UPDATE o SET b = 'bb';
UPDATE o SET a = 2;
DELETE FROM o;
SELECT changes('cdc_regress_identity');
-- so it is where the row fails
INSERT INTO o VALUES (1, repeat('x', 2000000));
UPDATE o SET a = 2, b = b || 'y';
LOAD 'cdc';
SET cdc.max_event_size = '1MB';
SELECT changes('cdc_regress_identity');
RESET cdc.max_event_size;

-- Changes of the identity take effect where they stand in the stream.
CREATE TABLE switching (a int PRIMARY KEY, b text);
BEGIN;
INSERT INTO switching VALUES (1, 'b');
UPDATE switching SET b = 'default';
ALTER TABLE switching REPLICA IDENTITY FULL;
UPDATE switching SET b = 'full';
ALTER TABLE switching REPLICA IDENTITY NOTHING;
UPDATE switching SET b = 'nothing';
ALTER TABLE switching REPLICA IDENTITY DEFAULT;
ALTER TABLE switching DROP CONSTRAINT switching_pkey;
UPDATE switching SET b = 'no key';
COMMIT;
SELECT changes('cdc_regress_identity');

SELECT cdc.drop_slot('cdc_regress_identity');
DROP TABLE d, n, late, i, f, g, o, switching;
