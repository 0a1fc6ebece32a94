-- Tables that change. What the reader learns of a column, it learns from the
-- Table that comes with the next event.

-- defaults that existing rows get without a rewrite, of every kind
CREATE TABLE added (id int PRIMARY KEY, a text);
INSERT INTO added SELECT i, 'old' FROM generate_series(1, 5) i;
ALTER TABLE added ADD COLUMN b int DEFAULT 7;
INSERT INTO added VALUES (6, 'new', DEFAULT), (7, 'new', NULL);
ALTER TABLE added ADD COLUMN c text DEFAULT 'it''s "ü"' NOT NULL, ADD COLUMN d int;
ALTER TABLE added ADD COLUMN e timestamptz DEFAULT '2020-02-03 04:05:06.789+00',
    ADD COLUMN f bytea DEFAULT '\x000a', ADD COLUMN g numeric(6,2) DEFAULT 1.5,
    ADD COLUMN h bool DEFAULT false, ADD COLUMN i int[] DEFAULT '{1,NULL}', ADD COLUMN j text DEFAULT '',
    ADD COLUMN k jsonb DEFAULT '{"a": [1]}', ADD COLUMN l mood DEFAULT 'ok', ADD COLUMN m interval DEFAULT '1 mon -1 day',
    ADD COLUMN n uuid DEFAULT '00112233-4455-6677-8899-aabbccddeeff', ADD COLUMN o float8 DEFAULT '-0',
    ADD COLUMN p date DEFAULT '0044-03-15 BC', ADD COLUMN q timestamptz DEFAULT now(),
    ADD COLUMN r char(4) DEFAULT 'x', ADD COLUMN s "char" DEFAULT 'y', ADD COLUMN t small DEFAULT 0;
UPDATE added SET a = 'touched' WHERE id = 2;
ALTER TABLE added ALTER b SET DEFAULT 8;
INSERT INTO added (id) VALUES (8);
ALTER TABLE added ALTER b DROP DEFAULT;
INSERT INTO added (id) VALUES (9);
UPDATE added SET b = b + 1, c = c || '!' WHERE id < 4;
ALTER TABLE added REPLICA IDENTITY FULL;
UPDATE added SET b = 0, j = 'x' WHERE id = 5;
UPDATE added SET b = NULL WHERE id = 4;
DELETE FROM added WHERE id = 1;

-- a default, and no event before the transaction ends; several in one
BEGIN;
ALTER TABLE added ADD COLUMN u int DEFAULT 1;
ALTER TABLE added ADD COLUMN v int DEFAULT 2;
ALTER TABLE added DROP COLUMN u;
ALTER TABLE added ADD COLUMN u text DEFAULT 'again';
COMMIT;
DELETE FROM added WHERE id = 2;

-- dropping, and adding the same name again
CREATE TABLE dropped (id int PRIMARY KEY, a int, b text, c int);
ALTER TABLE dropped REPLICA IDENTITY FULL;
INSERT INTO dropped SELECT i, i, 'b', i FROM generate_series(1, 5) i;
ALTER TABLE dropped DROP COLUMN a;
UPDATE dropped SET b = 'dropped a' WHERE id = 1;
ALTER TABLE dropped ADD COLUMN a text DEFAULT 'second a';
INSERT INTO dropped VALUES (6, 'b', 6, NULL);
BEGIN;
UPDATE dropped SET a = 'x' WHERE id = 3;
ALTER TABLE dropped DROP COLUMN a, ADD COLUMN a int;
UPDATE dropped SET a = 3 WHERE id < 3;
ALTER TABLE dropped DROP COLUMN a, ADD COLUMN a float8 DEFAULT 0.5;
DELETE FROM dropped WHERE id = 4;
COMMIT;
ALTER TABLE dropped DROP COLUMN b, DROP COLUMN c;

-- renaming: columns that swap their names
CREATE TABLE renamed (id int PRIMARY KEY, a int, b int);
INSERT INTO renamed VALUES (1, 1, 2), (2, 1, 2);
ALTER TABLE renamed RENAME a TO x;
UPDATE renamed SET x = 10 WHERE id = 1;
BEGIN;
ALTER TABLE renamed RENAME x TO a;
ALTER TABLE renamed RENAME a TO "tmp";
ALTER TABLE renamed RENAME b TO a;
ALTER TABLE renamed RENAME "tmp" TO b;
UPDATE renamed SET a = 20 WHERE id = 2;
COMMIT;
ALTER TABLE renamed RENAME id TO key;
UPDATE renamed SET b = NULL WHERE key = 1;
INSERT INTO renamed VALUES (3, 1, 2);

-- types, without a rewrite
CREATE TABLE retyped (id int PRIMARY KEY, v varchar(5), n numeric(6,2), ts timestamptz(3), d small, vb varbit(5), tz timestamptz);
INSERT INTO retyped SELECT i, 'v' || i, i / 4.0, '2020-01-01 01:02:03.456789+00', i, B'101', '2020-05-05 01:02:03.456789+00' FROM generate_series(1, 4) i;
ALTER TABLE retyped ALTER v TYPE varchar(10), ALTER n TYPE numeric(10,2), ALTER ts TYPE timestamptz, ALTER vb TYPE varbit;
UPDATE retyped SET v = 'longer v', n = 12345678.25 WHERE id = 1;
ALTER TABLE retyped ALTER v TYPE text, ALTER n TYPE numeric, ALTER d TYPE int;
UPDATE retyped SET v = repeat('w', 30) WHERE id = 2;
SET timezone = UTC;
ALTER TABLE retyped ALTER tz TYPE timestamp;
UPDATE retyped SET v = NULL WHERE id = 3;
ALTER TABLE retyped ALTER id TYPE oid;
UPDATE retyped SET v = 'oid' WHERE id = 4;

-- and with one: the table's rows come anew
CREATE TABLE rewritten (id int PRIMARY KEY, a int, b text);
INSERT INTO rewritten SELECT i, i, i::text FROM generate_series(1, 200) i;
ALTER TABLE rewritten ALTER a TYPE bigint;
INSERT INTO rewritten VALUES (201, 9223372036854775807, 'x');
ALTER TABLE rewritten ALTER b TYPE int USING length(b);
ALTER TABLE rewritten ALTER b TYPE text USING 'text ' || b;
UPDATE rewritten SET b = NULL WHERE id = 5;
ALTER TABLE rewritten ADD COLUMN r float8 DEFAULT random();
ALTER TABLE rewritten ADD COLUMN s bigserial;
DELETE FROM rewritten WHERE id < 20;
ALTER TABLE rewritten ADD COLUMN q int DEFAULT 3, ALTER a TYPE text;
ALTER TABLE rewritten ALTER id TYPE text;
UPDATE rewritten SET id = id || '!' WHERE b LIKE '%2';
-- twice in one transaction, with changes between; and the same columns
BEGIN;
UPDATE rewritten SET a = '1' WHERE id = '30';
ALTER TABLE rewritten ALTER q TYPE bigint;
UPDATE rewritten SET a = '2' WHERE id = '31';
DELETE FROM rewritten WHERE id = '33';
ALTER TABLE rewritten ALTER q TYPE int USING q + 1;
INSERT INTO rewritten (id) VALUES ('inserted');
ALTER TABLE rewritten ALTER q TYPE int USING q * 2;
ALTER TABLE rewritten ALTER q TYPE int USING q * 2;
DELETE FROM rewritten WHERE id = '34';
COMMIT;
BEGIN;
ALTER TABLE rewritten ALTER q TYPE numeric;
ROLLBACK;
BEGIN;
SAVEPOINT s;
ALTER TABLE rewritten ALTER q TYPE numeric;
ROLLBACK TO s;
UPDATE rewritten SET q = 0 WHERE id = '35';
COMMIT;
-- of an empty table there is no row
CREATE TABLE emptied (id int PRIMARY KEY, a int);
INSERT INTO emptied VALUES (1, 1);
DELETE FROM emptied;
ALTER TABLE emptied ALTER a TYPE text USING 'not a number', ADD COLUMN b int DEFAULT 1;
INSERT INTO emptied VALUES (2, 'x');
-- a default, then a rewrite
BEGIN;
ALTER TABLE emptied ADD COLUMN c int DEFAULT 5;
ALTER TABLE emptied ALTER c TYPE text USING c || ' now';
COMMIT;

-- unlogged tables are not in the stream until they are logged
CREATE UNLOGGED TABLE relogged (id int PRIMARY KEY, a text);
INSERT INTO relogged SELECT i, 'unlogged' FROM generate_series(1, 10) i;
ALTER TABLE relogged SET LOGGED;
INSERT INTO relogged VALUES (11, 'logged');
UPDATE relogged SET a = 'still' WHERE id < 3;

-- generated columns
CREATE TABLE generated (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED, c text);
INSERT INTO generated (id, a, c) VALUES (1, 1, 'x'), (2, NULL, NULL);
UPDATE generated SET a = 5 WHERE id = 1;
ALTER TABLE generated REPLICA IDENTITY FULL;
UPDATE generated SET c = 'only c' WHERE id = 1;
UPDATE generated SET a = 3;
ALTER TABLE generated ADD COLUMN d text GENERATED ALWAYS AS (c || '!') STORED;
ALTER TABLE generated ALTER b DROP EXPRESSION;
UPDATE generated SET b = 0 WHERE id = 2;

-- no columns at all
CREATE TABLE none ();
INSERT INTO none DEFAULT VALUES;
INSERT INTO none DEFAULT VALUES;
INSERT INTO none DEFAULT VALUES;
ALTER TABLE none ADD COLUMN a int DEFAULT 4;
INSERT INTO none VALUES (5);
ALTER TABLE none DROP COLUMN a;
INSERT INTO none DEFAULT VALUES;
CREATE TABLE still_none ();
INSERT INTO still_none DEFAULT VALUES;

-- dropped and created again under the same name. A stream does not tell a
-- DROP TABLE: rows are deleted first, so that none are left behind.
CREATE TABLE again (id int PRIMARY KEY, a text);
INSERT INTO again VALUES (1, 'first');
DELETE FROM again;
DROP TABLE again;
CREATE TABLE again (a int, b int, c int PRIMARY KEY);
INSERT INTO again VALUES (1, 2, 3);
BEGIN;
TRUNCATE again;
DROP TABLE again;
CREATE TABLE again (id int, a text[], c int);
INSERT INTO again VALUES (1, '{x}', 2);
ALTER TABLE again DROP COLUMN a, ADD COLUMN z int DEFAULT 9;
INSERT INTO again VALUES (2, 3);
COMMIT;
TRUNCATE again;
DROP TABLE again;
-- column 2 was dropped before: its number comes back
CREATE TABLE again (id int PRIMARY KEY, "second" int, third int, fourth text DEFAULT 'four');
INSERT INTO again VALUES (1, 2, 3, DEFAULT), (2, 3, 4, 'x');

-- renamed while it is empty, and another in its place
CREATE TABLE shadow (id int PRIMARY KEY, a int, extra text);
BEGIN;
CREATE TABLE original (id int PRIMARY KEY, a int);
INSERT INTO original VALUES (1, 1);
DELETE FROM original;
ALTER TABLE original RENAME TO former;
ALTER TABLE shadow RENAME TO original;
INSERT INTO original VALUES (1, 2, 'x');
INSERT INTO former VALUES (7, 7);
COMMIT;

-- types that are renamed, keys that change, constraints
CREATE TYPE later AS ENUM ('a', 'b');
ALTER TYPE later RENAME TO latest;
DROP TYPE latest;
CREATE TABLE keys (id int, a int NOT NULL, b text NOT NULL);
ALTER TABLE keys REPLICA IDENTITY FULL;
INSERT INTO keys VALUES (1, 1, 'x'), (2, 2, 'y');
UPDATE keys SET b = 'z' WHERE id = 1;
ALTER TABLE keys ADD PRIMARY KEY (id), REPLICA IDENTITY DEFAULT;
UPDATE keys SET a = a + 1, id = id + 10;
ALTER TABLE keys DROP CONSTRAINT keys_pkey, ADD PRIMARY KEY (a, b);
UPDATE keys SET b = b || 'b' WHERE a = 2;
CREATE UNIQUE INDEX keys_b ON keys (b);
ALTER TABLE keys REPLICA IDENTITY USING INDEX keys_b;
UPDATE keys SET a = 100 WHERE b = 'y';
UPDATE keys SET b = 'w' WHERE a = 100;
ALTER TABLE keys ALTER id DROP NOT NULL;
UPDATE keys SET id = NULL WHERE a = 100;
