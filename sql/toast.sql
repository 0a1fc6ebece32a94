-- Values stored out of line: one that an UPDATE does not touch is not in the
-- WAL, which is not the same as NULL.
SELECT slot_name FROM cdc.create_slot('cdc_regress_toast');
CREATE FUNCTION short(line text) RETURNS text LANGUAGE sql AS $$
  SELECT regexp_replace(line, '(x{20})x+', '\1...', 'g')
$$;

CREATE TABLE t (a int PRIMARY KEY, b text, c text, n int);
ALTER TABLE t ALTER b SET STORAGE EXTERNAL, ALTER c SET STORAGE EXTERNAL;
INSERT INTO t VALUES (1, repeat('x', 10000), NULL, 1);
UPDATE t SET n = 2;
UPDATE t SET c = 'short';
UPDATE t SET b = repeat('x', 10001);
UPDATE t SET a = 2;
UPDATE t SET b = NULL;
DELETE FROM t;
SELECT short(changes('cdc_regress_toast'));

ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (1, repeat('x', 10000), NULL, 1);
UPDATE t SET n = 2;
UPDATE t SET b = b || '';
UPDATE t SET b = repeat('x', 10000);
UPDATE t SET b = repeat('x', 9999) || 'y';
UPDATE t SET c = b;
-- the same value, stored in another way: nothing changed
ALTER TABLE t ALTER b SET STORAGE EXTENDED;
UPDATE t SET b = repeat('x', 9999) || 'y', n = 3;
DELETE FROM t;
SELECT short(changes('cdc_regress_toast'));

-- a key that is stored out of line
CREATE TABLE k (a int, b text NOT NULL, c int);
ALTER TABLE k ALTER b SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX k_key ON k (a, b);
ALTER TABLE k REPLICA IDENTITY FULL;
INSERT INTO k VALUES (1, repeat('x', 2500), 1);
UPDATE k SET c = 2;
ALTER TABLE k ALTER a SET NOT NULL;
ALTER TABLE k REPLICA IDENTITY USING INDEX k_key;
UPDATE k SET c = 3;
UPDATE k SET a = 2;
DELETE FROM k;
SELECT short(changes('cdc_regress_toast'));

SELECT cdc.drop_slot('cdc_regress_toast');
DROP TABLE t, k;
DROP FUNCTION short;
