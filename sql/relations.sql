-- Which relations are sent.
SELECT slot_name FROM cdc.create_slot('cdc_regress_relations');

CREATE TABLE t (a int PRIMARY KEY, b text);
CREATE UNLOGGED TABLE unlogged (a int);
CREATE TEMP TABLE temporary (a int);
INSERT INTO unlogged VALUES (1);
INSERT INTO temporary VALUES (1);
INSERT INTO t VALUES (1, 'b');
SELECT changes('cdc_regress_relations');
-- an unlogged table that becomes a logged one sends its rows
ALTER TABLE unlogged SET LOGGED;
SELECT changes('cdc_regress_relations');

-- never materialized views, however they are filled
CREATE MATERIALIZED VIEW mv AS SELECT * FROM t;
CREATE UNIQUE INDEX ON mv (a);
INSERT INTO t VALUES (2, 'b');
REFRESH MATERIALIZED VIEW mv;
INSERT INTO t VALUES (3, 'b');
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
SELECT changes('cdc_regress_relations');

-- nor catalogs and sequences; a user's table that decoding may read is a table
CREATE TABLE my_catalog (a int PRIMARY KEY) WITH (user_catalog_table = true);
INSERT INTO my_catalog VALUES (1);
COMMENT ON TABLE t IS 'comment';
CREATE SEQUENCE s;
SELECT nextval('s');
SELECT changes('cdc_regress_relations');

-- partitions come under their own name
CREATE TABLE p (a int, b text) PARTITION BY RANGE (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (b text, a int);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
ALTER TABLE p ADD PRIMARY KEY (a);
INSERT INTO p VALUES (1, 'one'), (11, 'eleven');
UPDATE p SET a = 12 WHERE a = 1;
TRUNCATE p;
SELECT changes('cdc_regress_relations');

-- inheritance
CREATE TABLE child (c int) INHERITS (t);
INSERT INTO child VALUES (1, 'b', 2);
UPDATE t SET b = 'bb' WHERE a = 1;
SELECT changes('cdc_regress_relations');

-- no columns
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
DELETE FROM nothing;
SELECT changes('cdc_regress_relations');

-- generated columns are sent, and marked
CREATE TABLE g (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a * 2) STORED, c int);
INSERT INTO g VALUES (1, DEFAULT, 5);
UPDATE g SET a = 2;
SELECT changes('cdc_regress_relations');
SELECT c->>'name' AS name, c->'generated' AS generated
FROM jsonb_array_elements(cdc.table_schema('g')->'columns') c;

SELECT cdc.drop_slot('cdc_regress_relations');
DROP MATERIALIZED VIEW mv;
DROP TABLE child, t, unlogged, temporary, my_catalog, p, nothing, g;
DROP SEQUENCE s;
