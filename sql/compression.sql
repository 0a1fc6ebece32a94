-- Compression: a batch within a batch, wherever batches come from.
SELECT slot_name FROM cdc.create_slot('cdc_regress_compression');
-- a build without a codec says so, and that is all that can be tested of it here
SELECT count(*) FROM pg_logical_slot_peek_binary_changes('cdc_regress_compression', NULL, NULL, 'compression', 'lz4');
\set lacks :ERROR
SELECT count(*) FROM pg_logical_slot_peek_binary_changes('cdc_regress_compression', NULL, NULL, 'compression', 'zstd');
\if :ERROR
\set lacks :ERROR
\endif
\if :lacks
-- batches that are compressed, by either
\set VERBOSITY terse
SELECT cdc.decode_json('\x095001600a5a03000000');
SELECT cdc.decode_json('\x095002600a5a03000000');
SELECT cdc.drop_slot('cdc_regress_compression');
\quit
\endif
CREATE TABLE t (id int PRIMARY KEY, name text, bytes bytea);
INSERT INTO t VALUES (0, 'a small transaction is sent as it is');
INSERT INTO t SELECT n, 'name of row ' || n, '\x00' FROM generate_series(1, 3000) n;
-- nothing can be gained
INSERT INTO t SELECT 3001, NULL, string_agg(sha256(int4send(n)), '') FROM generate_series(1, 1000) n;
-- in parts, streamed or not, with a savepoint rolled back
BEGIN;
UPDATE t SET name = 'new ' || name WHERE id < 2000;
SAVEPOINT s;
DELETE FROM t WHERE id < 1000;
ROLLBACK TO s;
DELETE FROM t WHERE id < 10;
COMMIT;

-- what a stream has: batches, those that are compressed, events, and all of its lines
CREATE FUNCTION pg_temp.stream(options text[], OUT batches bigint, OUT compressed bigint, OUT bytes bigint, OUT lines text) LANGUAGE sql AS $$
  SELECT count(*), count(*) FILTER (WHERE position('\x5001'::bytea in substr(data, 1, 6)) > 0
                                       OR position('\x5002'::bytea in substr(data, 1, 6)) > 0),
         sum(length(data)),
         md5((SELECT string_agg(j::text, E'\n' ORDER BY o) FROM cdc.decode_json(string_agg(data, ''::bytea)) WITH ORDINALITY d(j, o)))
  FROM pg_logical_slot_peek_binary_changes('cdc_regress_compression', NULL, NULL, VARIADIC options)
$$;
SELECT p.compressed, l.batches = p.batches AND l.compressed BETWEEN 4 AND l.batches - 1 AS lz4, l.bytes < p.bytes / 2 AS smaller, l.lines = p.lines AS same,
       z.batches = p.batches AND z.compressed BETWEEN 4 AND z.batches - 1 AS zstd, z.bytes < p.bytes / 3 AS smaller, z.lines = p.lines AS same
FROM pg_temp.stream('{compression,none}') p, pg_temp.stream('{compression,lz4}') l, pg_temp.stream('{compression,zstd}') z;
-- every batch for itself, and in very small parts
SELECT l.compressed > 100, l.lines = p.lines AS same
FROM pg_temp.stream('{schemas,batch,batch_bytes,2kB}') p, pg_temp.stream('{schemas,batch,batch_bytes,2kB,compression,lz4}') l;
-- a repetition gives the same bytes
SELECT count(*) FILTER (WHERE a.data <> b.data)
FROM pg_logical_slot_peek_binary_changes('cdc_regress_compression', NULL, NULL, 'compression', 'zstd') WITH ORDINALITY a(lsn, xid, data, n)
JOIN pg_logical_slot_peek_binary_changes('cdc_regress_compression', NULL, NULL, 'compression', 'zstd') WITH ORDINALITY b(lsn, xid, data, n) USING (n);

-- rows that are read
SELECT (SELECT sum(length(b)) FROM cdc.snapshot('t', options => '{compression,zstd}') b)
       < (SELECT sum(length(b)) FROM cdc.snapshot('t') b) - 50000 AS smaller,
       (SELECT md5(string_agg(j::text, '')) FROM cdc.decode_json((SELECT string_agg(b, '') FROM cdc.snapshot('t', options => '{compression,zstd}') b)) j)
       = (SELECT md5(string_agg(j::text, '')) FROM cdc.decode_json((SELECT string_agg(b, '') FROM cdc.snapshot('t') b)) j) AS same;

-- a large batch is sent as it is
SELECT pg_replication_slot_advance('cdc_regress_compression', pg_current_wal_insert_lsn()) IS NOT NULL AS advanced;
ALTER TABLE t ALTER name SET STORAGE EXTERNAL;
INSERT INTO t VALUES (3002, repeat('x', 33 * 1024 * 1024));
SELECT max(length(data)) > 33 * 1024 * 1024 AS large FROM pg_logical_slot_peek_binary_changes('cdc_regress_compression', NULL, NULL, 'compression', 'lz4');
DELETE FROM t;

-- stored for the slot; JSON lines are not compressed, so the later of both counts
SELECT cdc.alter_slot('cdc_regress_compression', '{compression,zstd}');
SELECT compressed > 0 AS compressed FROM pg_temp.stream('{}');
SELECT count(*) > 0 AS lines FROM pg_logical_slot_peek_changes('cdc_regress_compression', NULL, NULL, 'format', 'json');
SELECT count(*) > 0 AS rows FROM cdc.peek('cdc_regress_compression');
SELECT cdc.alter_slot('cdc_regress_compression', '{compression,zstd,format,json}');
SELECT cdc.alter_slot('cdc_regress_compression', '{compression,zip}');
SELECT count(*) FROM pg_logical_slot_peek_binary_changes('cdc_regress_compression', NULL, NULL, 'compression', 'lz4', 'format', 'json');

-- damage. LZ4 has short texts as they are, behind a byte with their length in its upper half
\set VERBOSITY terse
CREATE FUNCTION pg_temp.field(number int, content bytea) RETURNS bytea LANGUAGE sql AS $$
  SELECT set_byte('\x00', 0, number * 8 + 2) || set_byte('\x00', 0, length(content)) || content
$$;
CREATE FUNCTION pg_temp.lz4(inner_batch bytea, raw_size bytea DEFAULT NULL, codec bytea DEFAULT '\x01') RETURNS bytea LANGUAGE sql AS $$
  SELECT set_byte('\x00', 0, length(b)) || b
  FROM (SELECT '\x50'::bytea || codec || '\x60'::bytea || coalesce(raw_size, set_byte('\x00', 0, length(inner_batch)))
               || pg_temp.field(11, set_byte('\x00', 0, length(inner_batch) * 16) || inner_batch)) x(b)
$$;
-- a batch with an event without an operation
SELECT cdc.decode_json(pg_temp.lz4('\x3a021001'));
SELECT cdc.decode_json(pg_temp.lz4('\x3a021001', '\x03'));
SELECT cdc.decode_json(pg_temp.lz4('\x3a021001', '\x05'));
SELECT cdc.decode_json(pg_temp.lz4('\x3a021001', '\x00'));
SELECT cdc.decode_json(pg_temp.lz4('\x3a021001', '\xffffffffffffffff7f'));
SELECT cdc.decode_json(pg_temp.lz4('\x3a021001', '\xffffffff0f'));
SELECT cdc.decode_json(pg_temp.lz4('\x3a021001', NULL, '\x02'));
SELECT cdc.decode_json(pg_temp.lz4('\x3a021001', NULL, '\x00'));
SELECT cdc.decode_json(pg_temp.lz4('\x3a0210'));
-- one more time, which nobody needs
SELECT cdc.decode_json(pg_temp.lz4(substr(pg_temp.lz4('\x3a00'), 2)));
SELECT cdc.decode_json(pg_temp.lz4('\x3a00', NULL, '\x07'));
\set VERBOSITY default

SELECT cdc.drop_slot('cdc_regress_compression');
DROP TABLE t;
