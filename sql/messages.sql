-- Transactional messages stand where they were written, also where the record that follows is
-- of another subtransaction; and changes of one record keep their numbers around them.
SELECT slot_name FROM cdc.create_slot('cdc_regress_messages', options => '{messages,*}');
CREATE TABLE m (id int PRIMARY KEY);

-- by the top-level transaction, and by a subtransaction that has nothing else: what core
-- makes of equal positions depends on what there is
CREATE PROCEDURE write_messages(n int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. n LOOP
    INSERT INTO m VALUES (5 * i);
    BEGIN
      PERFORM pg_logical_emit_message(true, 'sub', (5 * i + 1)::text);
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    INSERT INTO m VALUES (5 * i + 2);
    PERFORM pg_logical_emit_message(true, 'top', (5 * i + 3)::text);
    BEGIN
      INSERT INTO m VALUES (5 * i + 4);
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
  END LOOP;
END $$;
CALL write_messages(100);
WITH events AS (
  SELECT row_number() OVER () AS n, coalesce((key ->> 'id'), convert_from((event ->> 'content')::bytea, 'UTF8'))::int AS what, op
  FROM cdc.peek('cdc_regress_messages'))
SELECT count(*), count(*) FILTER (WHERE n + 4 <> what) AS misplaced, count(*) FILTER (WHERE op = 'MESSAGE') AS messages
FROM events;
-- and none has another one's position
SELECT count(*) - count(DISTINCT position) AS repeated FROM cdc.read('cdc_regress_messages');

-- records with several rows, behind a message of another (sub)transaction
CREATE TABLE many (id int, v text);
BEGIN;
INSERT INTO many VALUES (0, 'top');
SAVEPOINT a;
SELECT pg_logical_emit_message(true, 'a', 'x') IS NOT NULL AS sent;
RELEASE a;
COPY many FROM stdin;
1	a
2	b
3	c
\.
SELECT pg_logical_emit_message(true, 'top', 'x') IS NOT NULL AS sent;
SAVEPOINT b;
COPY many FROM stdin;
4	d
5	e
6	f
\.
RELEASE b;
COMMIT;
SELECT op, new ->> 'id' AS id, event ->> 'prefix' AS prefix, split_part(position, '/', 5) AS index,
  dense_rank() OVER (ORDER BY position COLLATE "C") AS place
FROM cdc.peek('cdc_regress_messages');
-- wherever batches are cut
SELECT count(DISTINCT events) FROM generate_series(1, 500, 9) bytes,
  LATERAL (SELECT string_agg(concat(op, new ->> 'id'), ' ' ORDER BY position COLLATE "C") AS events
           FROM cdc.peek('cdc_regress_messages', options => ARRAY['batch_bytes', bytes::text])) e;
SELECT count(*) - count(DISTINCT position) AS repeated FROM cdc.read('cdc_regress_messages', options => '{batch_bytes,1}');
SELECT cdc.drop_slot('cdc_regress_messages');
DROP PROCEDURE write_messages;
DROP TABLE m, many;
