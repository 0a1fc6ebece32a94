-- UPDATE and DELETE under every replica identity, with and without a key.
CREATE TABLE by_default (id integer PRIMARY KEY, a text, b integer);
INSERT INTO by_default VALUES (1, 'one', 1), (2, 'two', NULL), (3, '', 0);
UPDATE by_default SET a = 'uno' WHERE id = 1;
UPDATE by_default SET b = NULL WHERE id = 1;
UPDATE by_default SET id = 10 WHERE id = 2;
UPDATE by_default SET a = a WHERE id = 3;
DELETE FROM by_default;

CREATE TABLE by_default_no_key (id integer, a text);
INSERT INTO by_default_no_key VALUES (1, 'one'), (NULL, NULL);
UPDATE by_default_no_key SET a = 'uno' WHERE id = 1;
DELETE FROM by_default_no_key;

CREATE TABLE by_default_deferrable (id integer PRIMARY KEY DEFERRABLE, a text);
INSERT INTO by_default_deferrable VALUES (1, 'one');
UPDATE by_default_deferrable SET id = 2;
DELETE FROM by_default_deferrable;

CREATE TABLE two_keys (a integer, v text, b text, PRIMARY KEY (b, a));
INSERT INTO two_keys VALUES (1, 'v', 'x');
UPDATE two_keys SET v = 'w';
UPDATE two_keys SET a = 2;
DELETE FROM two_keys;

CREATE TABLE by_index (id integer PRIMARY KEY, code text NOT NULL, a text);
CREATE UNIQUE INDEX by_index_code ON by_index (code);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code;
INSERT INTO by_index VALUES (1, 'c1', 'one'), (2, 'c2', 'two');
UPDATE by_index SET a = 'uno' WHERE id = 1;
UPDATE by_index SET id = 20 WHERE id = 2;
UPDATE by_index SET code = 'c9' WHERE id = 1;
DELETE FROM by_index;

CREATE TABLE by_full (id integer PRIMARY KEY, a text, b integer, c text);
ALTER TABLE by_full REPLICA IDENTITY FULL;
INSERT INTO by_full VALUES (1, 'one', 1, 'c'), (2, NULL, NULL, NULL);
UPDATE by_full SET a = 'uno' WHERE id = 1;
UPDATE by_full SET b = NULL WHERE id = 1;
UPDATE by_full SET b = 2, c = '' WHERE id = 1;
UPDATE by_full SET a = a;
UPDATE by_full SET a = 'dos' WHERE id = 2;
UPDATE by_full SET id = 3, b = 3 WHERE id = 2;
DELETE FROM by_full;

CREATE TABLE by_full_no_key (id integer, a text, b integer);
ALTER TABLE by_full_no_key REPLICA IDENTITY FULL;
INSERT INTO by_full_no_key VALUES (1, 'one', 1), (1, 'one', 1), (NULL, NULL, NULL);
UPDATE by_full_no_key SET a = 'uno' WHERE id = 1;
UPDATE by_full_no_key SET b = 5 WHERE id IS NULL;
DELETE FROM by_full_no_key;

CREATE TABLE by_nothing (id integer PRIMARY KEY, a text);
ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;
INSERT INTO by_nothing VALUES (1, 'one'), (2, 'two');
UPDATE by_nothing SET a = 'uno' WHERE id = 1;
UPDATE by_nothing SET id = 3, a = NULL WHERE id = 2;
DELETE FROM by_nothing;

CREATE TABLE changing (id integer PRIMARY KEY, a text);
INSERT INTO changing VALUES (1, 'one');
BEGIN;
UPDATE changing SET a = 'uno';
ALTER TABLE changing REPLICA IDENTITY FULL;
UPDATE changing SET a = 'eins';
ALTER TABLE changing REPLICA IDENTITY NOTHING;
UPDATE changing SET a = 'un';
ALTER TABLE changing REPLICA IDENTITY DEFAULT, DROP CONSTRAINT changing_pkey;
UPDATE changing SET a = 'ichi';
COMMIT;
