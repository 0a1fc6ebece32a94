-- Values out of line: untouched ones are not in the WAL.
CREATE FUNCTION big(seed int, n int) RETURNS text LANGUAGE sql AS
  $$ SELECT string_agg(md5(seed::text || i::text), '') FROM generate_series(1, n) i $$;
CREATE TABLE plain (id int PRIMARY KEY, small text, t text, b bytea, j jsonb, a int[]);
ALTER TABLE plain ALTER t SET STORAGE EXTERNAL;
CREATE TABLE whole (LIKE plain INCLUDING ALL);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE nokey (LIKE plain INCLUDING STORAGE);
ALTER TABLE nokey REPLICA IDENTITY FULL;
CREATE TABLE key (k text PRIMARY KEY, v text);
ALTER TABLE key ALTER k SET STORAGE EXTERNAL;
CREATE TABLE key_two (k text, v text, n int, PRIMARY KEY (k, n));
ALTER TABLE key_two ALTER k SET STORAGE EXTERNAL;
CREATE TABLE key_full (LIKE key INCLUDING ALL);
ALTER TABLE key_full REPLICA IDENTITY FULL;

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['plain', 'whole', 'nokey'] LOOP
    EXECUTE format($f$
      INSERT INTO %1$s SELECT i, 's' || i, big(i, 200), big(i, 100)::bytea,
        jsonb_build_object('x', big(i, 150)), array(SELECT g FROM generate_series(1, 3000) g)
        FROM generate_series(1, 6) i;
      UPDATE %1$s SET small = 'changed' WHERE id < 4;
      UPDATE %1$s SET t = big(-id, 300) WHERE id = 2;
      UPDATE %1$s SET t = NULL, small = NULL WHERE id = 3;
      UPDATE %1$s SET b = b || '\x00' WHERE id = 4;
      UPDATE %1$s SET j = j || '{"y": 1}' WHERE id = 5;
      UPDATE %1$s SET t = t, j = j;
      UPDATE %1$s SET a = a[1:2] WHERE id = 6;
      UPDATE %1$s SET id = id + 10;
      UPDATE %1$s SET t = repeat('short', 2) WHERE id = 11;
      UPDATE %1$s SET t = repeat('compresses ', 20000) WHERE id = 12;
      UPDATE %1$s SET small = 'after' WHERE id = 12;
      DELETE FROM %1$s WHERE id IN (13, 14)$f$, t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['key', 'key_full'] LOOP
    EXECUTE format($f$
      INSERT INTO %1$s SELECT big(i, 75), 'v' || i FROM generate_series(1, 5) i;
      UPDATE %1$s SET v = 'new';
      UPDATE %1$s SET k = k || 'x', v = NULL WHERE k = big(2, 75);
      UPDATE %1$s SET k = 'short' WHERE k = big(3, 75);
      UPDATE %1$s SET k = big(9, 76) WHERE k = 'short';
      DELETE FROM %1$s WHERE k = big(4, 75)$f$, t);
  END LOOP;
END $$;
-- a key of which the WAL has one part only
INSERT INTO key_two SELECT big(i, 75), 'v', i FROM generate_series(1, 4) i;
UPDATE key_two SET n = -n WHERE n < 3;
UPDATE key_two SET v = NULL WHERE n > 2;
ALTER TABLE key_two REPLICA IDENTITY FULL;
UPDATE key_two SET n = n + 10, v = 'w' WHERE n > 2;
UPDATE key_two SET n = n - 10 WHERE n < 0;
-- a row of some megabytes, in a transaction with small ones
BEGIN;
INSERT INTO plain VALUES (100, 'before');
INSERT INTO plain SELECT 101, 'large', string_agg(md5(i::text), ''), string_agg(decode(md5(i::text), 'hex'), '')
  FROM generate_series(1, 60000) i;
INSERT INTO plain VALUES (102, 'after');
UPDATE plain SET small = 'still large' WHERE id = 101;
COMMIT;
-- a rewrite of what is out of line
ALTER TABLE plain ALTER id TYPE bigint;
ALTER TABLE plain ADD COLUMN r float8 DEFAULT random();
UPDATE plain SET r = 0 WHERE id < 13;
DROP FUNCTION big;
