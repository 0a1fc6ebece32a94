-- options: messages=app,other
-- Logical messages in and outside of transactions; prefixes that were not
-- asked for are not sent.
CREATE TABLE t (id integer PRIMARY KEY);
SELECT pg_logical_emit_message(true, 'app', 'alone');
SELECT pg_logical_emit_message(false, 'app', 'outside');
SELECT pg_logical_emit_message(true, 'unasked', 'not sent');
SELECT pg_logical_emit_message(false, 'unasked', 'not sent');
BEGIN;
INSERT INTO t VALUES (1);
SELECT pg_logical_emit_message(true, 'app', 'between');
SELECT pg_logical_emit_message(true, 'unasked', 'counted but not sent');
SELECT pg_logical_emit_message(true, 'other', '\x00ff0a7b22'::bytea);
INSERT INTO t VALUES (2);
SELECT pg_logical_emit_message(false, 'app', 'of a transaction that is not over');
COMMIT;
BEGIN;
SELECT pg_logical_emit_message(true, 'app', 'rolled back');
SELECT pg_logical_emit_message(false, 'app', 'sent even so');
ROLLBACK;
SELECT pg_logical_emit_message(true, 'app', '');
SELECT pg_logical_emit_message(true, 'app', 'text "quoted" ä');
