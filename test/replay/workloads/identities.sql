-- Which row an UPDATE or DELETE met, under each replica identity.
CREATE TABLE pk (id int PRIMARY KEY, a int, b text);
CREATE TABLE pk_last (a int, b text, id int PRIMARY KEY);
CREATE TABLE pk_two (a text, x int, b uuid, y text, c date, PRIMARY KEY (c, a));
CREATE TABLE pk_full (id int PRIMARY KEY, a int, b text, c float8);
CREATE TABLE pk_included (a int, b int, c text, PRIMARY KEY (b) INCLUDE (c));
CREATE TABLE nokey_full (a int, b text);
CREATE TABLE by_index (id int PRIMARY KEY, a int NOT NULL, b text NOT NULL, c text);
CREATE UNIQUE INDEX by_index_ba ON by_index (b, a);
CREATE TABLE deferrable_pk (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, a text);
CREATE TABLE only_key (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE citext_like (id name PRIMARY KEY, v "char");
CREATE TABLE nothing (id int PRIMARY KEY, a text);
CREATE TABLE heap (a int, b text);
ALTER TABLE pk_full REPLICA IDENTITY FULL;
ALTER TABLE nokey_full REPLICA IDENTITY FULL;
ALTER TABLE deferrable_pk REPLICA IDENTITY FULL;
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_ba;
ALTER TABLE nothing REPLICA IDENTITY NOTHING;

INSERT INTO pk SELECT i, i * 10, CASE WHEN i % 3 > 0 THEN 'b' || i END FROM generate_series(1, 20) i;
INSERT INTO pk_last SELECT i, NULL, i FROM generate_series(1, 10) i;
INSERT INTO pk_two SELECT i % 3, i, md5(i::text)::uuid, NULL, date '2020-01-01' + i FROM generate_series(1, 20) i;
INSERT INTO pk_full SELECT i, i, CASE WHEN i % 2 = 0 THEN 'x' END, 'NaN' FROM generate_series(1, 20) i;
INSERT INTO pk_included SELECT i, -i, i FROM generate_series(1, 10) i;
INSERT INTO nokey_full SELECT i % 4, CASE WHEN i % 2 = 0 THEN 'x' END FROM generate_series(1, 40) i;
INSERT INTO nokey_full VALUES (NULL, NULL), (NULL, NULL), (NULL, ''), (0, NULL);
INSERT INTO by_index SELECT i, i % 5, 'k' || i / 5, NULL FROM generate_series(1, 25) i;
INSERT INTO deferrable_pk SELECT i, 'v' || i FROM generate_series(1, 10) i;
INSERT INTO only_key SELECT i, -i FROM generate_series(1, 10) i;
INSERT INTO citext_like SELECT 'n' || i, 'x' FROM generate_series(1, 5) i;
INSERT INTO nothing SELECT i, i FROM generate_series(1, 5) i;
INSERT INTO heap SELECT i, i FROM generate_series(1, 5) i;

-- values, NULLs, and back
UPDATE pk SET a = NULL WHERE id % 2 = 0;
UPDATE pk SET b = NULL, a = 0 WHERE id % 5 = 0;
UPDATE pk SET b = '' WHERE b IS NULL;
UPDATE pk SET a = a;
UPDATE pk_last SET b = 'b' WHERE id > 5;
UPDATE pk_two SET y = 'y', x = NULL WHERE x < 10;
UPDATE pk_full SET c = 0 WHERE id < 10;
UPDATE pk_full SET c = '-0' WHERE id < 5;
UPDATE pk_full SET b = NULL, a = a + 1 WHERE id % 2 = 0;
UPDATE pk_full SET b = b;
UPDATE nokey_full SET b = NULL WHERE a = 2;
UPDATE nokey_full SET a = a + 1 WHERE a IS NOT NULL;
UPDATE nokey_full SET a = 7 WHERE a IS NULL AND b = '';
UPDATE by_index SET c = id WHERE id > 10;
UPDATE deferrable_pk SET a = upper(a) WHERE id > 5;
UPDATE citext_like SET v = NULL WHERE id < 'n3';

-- keys that change
UPDATE pk SET id = id + 100;
UPDATE pk SET id = id + 1000, b = NULL WHERE id > 110;
UPDATE pk_last SET id = -id, a = NULL;
UPDATE pk_two SET a = a || 'x' WHERE x IS NULL;
UPDATE pk_two SET c = c + 1, b = NULL;
UPDATE pk_full SET id = -id WHERE id < 15;
UPDATE pk_full SET id = id * 1000, a = NULL WHERE id > 0;
UPDATE pk_included SET b = b - 100, c = NULL;
UPDATE pk_included SET c = 'only what is included';
UPDATE by_index SET a = a + 100 WHERE id % 2 = 0;
UPDATE by_index SET b = b || '!', id = id + 1000;
UPDATE by_index SET id = id + 1000;
UPDATE deferrable_pk SET id = id % 10 + 11;
UPDATE deferrable_pk SET id = id - 10;
UPDATE only_key SET b = b - 1 WHERE a > 5;
UPDATE only_key SET a = a;
UPDATE citext_like SET id = id || 'x';

DELETE FROM pk WHERE id % 4 = 0;
DELETE FROM pk_last WHERE id < -8;
DELETE FROM pk_two WHERE x > 15;
DELETE FROM pk_full WHERE a IS NULL OR id < -5;
DELETE FROM pk_included WHERE a < 3;
DELETE FROM nokey_full WHERE ctid IN (SELECT min(ctid) FROM nokey_full GROUP BY a, b);
DELETE FROM by_index WHERE a > 102;
DELETE FROM deferrable_pk WHERE id = 3;
DELETE FROM only_key WHERE a = 1;
DELETE FROM citext_like WHERE id = 'n5x';

-- what nobody can locate: such tables are not compared
UPDATE nothing SET a = 'x' WHERE id = 1;
UPDATE nothing SET id = 6 WHERE id = 2;
DELETE FROM nothing WHERE id = 3;
UPDATE heap SET a = 0 WHERE a = 1;
DELETE FROM heap WHERE a = 2;

-- the identity changes under way
ALTER TABLE pk REPLICA IDENTITY FULL;
UPDATE pk SET b = 'full';
ALTER TABLE pk REPLICA IDENTITY DEFAULT;
UPDATE pk SET b = 'default', id = -id;
ALTER TABLE pk DROP CONSTRAINT pk_pkey;
ALTER TABLE pk REPLICA IDENTITY FULL;
UPDATE pk SET a = a + 1;
UPDATE pk SET a = -id WHERE a IS NULL;
ALTER TABLE pk ADD PRIMARY KEY (a, id);
UPDATE pk SET a = a * 2;
DELETE FROM pk WHERE a % 4 = 0;
