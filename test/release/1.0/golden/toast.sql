-- Values that are stored out of line: an UPDATE that does not touch them has
-- only pointers to them.
CREATE TABLE t (id integer PRIMARY KEY, big text, small text);
ALTER TABLE t ALTER COLUMN big SET STORAGE EXTERNAL;
INSERT INTO t VALUES (1, repeat('abcdefgh', 300), 's');
UPDATE t SET small = 'touched' WHERE id = 1;
UPDATE t SET big = repeat('ABCDEFGH', 300) WHERE id = 1;
UPDATE t SET big = NULL WHERE id = 1;
UPDATE t SET big = repeat('12345678', 300) WHERE id = 1;
UPDATE t SET id = 2;
DELETE FROM t;
ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (3, repeat('abcdefgh', 300), 's');
UPDATE t SET small = 'touched' WHERE id = 3;
UPDATE t SET big = repeat('abcdefgh', 300) WHERE id = 3;
UPDATE t SET big = repeat('ABCDEFGH', 300) WHERE id = 3;
DELETE FROM t;

CREATE TABLE compressed (id integer PRIMARY KEY, big text, small text);
INSERT INTO compressed VALUES (1, repeat('0123456789', 1000), 's');
UPDATE compressed SET small = 't';
ALTER TABLE compressed REPLICA IDENTITY FULL;
UPDATE compressed SET small = 'u';

CREATE TABLE keyed (k text PRIMARY KEY, v integer);
ALTER TABLE keyed ALTER COLUMN k SET STORAGE EXTERNAL;
INSERT INTO keyed VALUES (repeat('k', 2100), 1);
UPDATE keyed SET v = 2;
UPDATE keyed SET k = repeat('l', 2100);
DELETE FROM keyed;

CREATE TABLE nothing (big text, small text);
ALTER TABLE nothing ALTER COLUMN big SET STORAGE EXTERNAL, REPLICA IDENTITY NOTHING;
INSERT INTO nothing VALUES (repeat('n', 2100), 's');
UPDATE nothing SET small = 't';
