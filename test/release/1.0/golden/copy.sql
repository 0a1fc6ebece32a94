-- Rows that share a WAL record, told apart by their index; subtransactions.
CREATE TABLE t (id integer PRIMARY KEY, v text);
COPY t FROM STDIN;
1	one
2	\N
3	tab\there
\.
BEGIN;
COPY t FROM STDIN;
4	four
5	five
\.
SAVEPOINT a;
INSERT INTO t VALUES (6, 'six'), (7, 'seven');
SAVEPOINT b;
INSERT INTO t VALUES (8, 'rolled back');
ROLLBACK TO b;
RELEASE a;
DELETE FROM t WHERE id < 3;
COMMIT;

CREATE TABLE measured (id integer, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE measured_2026 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO measured VALUES (1, '2025-06-01'), (2, '2026-06-01');
UPDATE measured SET day = '2026-07-01' WHERE id = 1;
TRUNCATE measured;

INSERT INTO t VALUES (3, 'conflict') ON CONFLICT (id) DO UPDATE SET v = 'upserted';
MERGE INTO t USING (VALUES (4), (40)) AS s (id) ON t.id = s.id
	WHEN MATCHED THEN UPDATE SET v = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'new');
