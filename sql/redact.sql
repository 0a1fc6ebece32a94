-- Rules of redaction: methods, errors, what is covered, and when.
\set SHOW_CONTEXT never
SELECT slot_name FROM cdc.create_slot('cdc_regress_redact');
CREATE TABLE t (id int PRIMARY KEY, v text, w text);
ALTER TABLE t REPLICA IDENTITY FULL;
CREATE FUNCTION shown() RETURNS TABLE (op text, key jsonb, old jsonb, new jsonb, redacted jsonb) LANGUAGE sql AS
$$ SELECT op, key, old, new, regexp_replace(event->>'redacted', '\d+:[0-9a-f]{64}', 'HASH', 'g')::jsonb FROM cdc.read('cdc_regress_redact') $$;

-- what stands for a value
CREATE FUNCTION under(value text, method text, params text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  rule bigint;
  result jsonb;
BEGIN
  EXECUTE format('SELECT cdc.redact(''t'', ''v'', %L%s)', method, params) INTO rule;
  INSERT INTO t VALUES (1, value);
  SELECT event->'redacted'->'v' INTO result FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('t') b));
  DELETE FROM t;
  PERFORM cdc.unredact(rule);
  RETURN result;
END $$;
SELECT v, under(v, 'mask') AS mask, under(v, 'mask', ', length => 3, filler => ''#''') AS mask3, under(v, 'partial', ', prefix => 2, suffix => 1') AS partial,
       under(v, 'email') AS email, under(v, 'truncate', ', length => 2') AS truncate, under(v, 'constant', ', value => ''x''') AS constant
FROM (VALUES ('geheim'), ('äöü€𝄞'), (''), ('abc'), ('abcd'), ('anna@example.co.uk'), ('@x.org'), ('a@b'), ('a@b.c@d.e'), ('a.b@c'), (NULL)) x(v);
SELECT under('x', 'null') AS "null", under('x', 'drop') AS "drop", under(NULL, 'null') AS "null of NULL";
SELECT regexp_replace(under('x', 'hash'), '[0-9a-f]{64}', 'HHH') AS hash, under('x', 'hash') = under('x', 'hash') AS same, under('x', 'hash') = under('y', 'hash') AS other, under('', 'hash') IS NULL AS empty;
-- the hash is HMAC-SHA-256 under the secret, whose number it names
SELECT under('x', 'hash')::jsonb->>'new' = number || ':' || (
    -- HMAC made of plain hashes
    SELECT encode(sha256(opad || sha256(ipad || 'x'::bytea)), 'hex')
    FROM (SELECT string_agg(set_byte('\x00', 0, get_byte(k, i) # 92), '' ORDER BY i) AS opad, string_agg(set_byte('\x00', 0, get_byte(k, i) # 54), '' ORDER BY i) AS ipad
          FROM (SELECT lo_get(large_object) || decode(repeat('00', 32), 'hex') AS k) k, generate_series(0, 63) i) pads) AS hmac
FROM cdc.redaction_secret;
SELECT cdc.rotate_redaction_secret() AS secret;
SELECT under('x', 'hash') LIKE '%"new": "2:%' AS second;
-- readable by its owner alone, and in no text
SELECT DISTINCT lomowner = (SELECT extowner FROM pg_extension WHERE extname = 'cdc') AS owner, lomacl FROM pg_largeobject_metadata WHERE oid IN (SELECT large_object FROM cdc.redaction_secret);
SELECT cdc.advance_slot('cdc_regress_redact', pg_current_wal_lsn()) IS NOT NULL AS skipped;
SELECT count(*) FROM cdc.redaction_rules;

-- the strictest of several counts
SELECT cdc.redact('t', 'v', 'partial', prefix => 1, suffix => 0) AS p, cdc.redact('t', 'v', 'truncate', length => 1) AS t \gset
INSERT INTO t VALUES (1, 'abc');
SELECT event->'redacted' AS two_that_differ FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('t') b));
SELECT cdc.redact('t', 'v', 'hash') AS h \gset
SELECT event->'redacted'->'v'->>'method' AS hash FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('t') b));
SELECT cdc.redact('t', 'v', 'mask') AS m \gset
SELECT event->'redacted'->'v'->>'method' AS mask FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('t') b));
SELECT cdc.redact('t', 'v', 'null') AS n \gset
SELECT cdc.redact_matching('V', 'drop') AS d \gset
SELECT event->'redacted'->'v'->>'method' AS drop FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('t') b));
SELECT cdc.unredact(id) FROM cdc.redaction_rules;
SELECT count(*) FROM shown();

-- a change of what is hidden looks like none
SELECT cdc.redact('t', 'v', 'mask') AS rule \gset
UPDATE t SET v = 'xyz';
UPDATE t SET v = 'longer', w = 'seen';
UPDATE t SET v = NULL;
UPDATE t SET v = 'back';
DELETE FROM t;
SELECT * FROM shown();

-- in force as of the change or now
SELECT cdc.unredact(:rule);
INSERT INTO t VALUES (1, 'open'), (2, 'open');
SELECT cdc.redact('t', 'v', 'mask', length => 1) AS rule \gset
INSERT INTO t VALUES (3, 'hidden');
SELECT new, event->'redacted'->'v'->'new' AS redacted FROM cdc.peek('cdc_regress_redact');
SELECT cdc.unredact(:rule);
INSERT INTO t VALUES (4, 'open again');
SELECT new, event->'redacted'->'v'->'new' AS redacted FROM cdc.peek('cdc_regress_redact');
-- within a transaction, and in one that is rolled back
BEGIN;
INSERT INTO t VALUES (5, 'before');
SELECT cdc.redact('t', 'v', 'mask', length => 2) AS rule \gset
INSERT INTO t VALUES (6, 'after');
COMMIT;
SELECT cdc.unredact(:rule);
BEGIN;
SELECT cdc.redact('t', 'v', 'mask', length => 3) > 0 AS made;
ROLLBACK;
INSERT INTO t VALUES (7, 'never under it');
SELECT key->'id' AS id, new, event->'redacted'->'v'->'new' AS redacted FROM cdc.read('cdc_regress_redact');
-- a rule is removed where it was made, by whatever means
SELECT cdc.redact('t', 'v', 'mask') > 0 AS made;
SELECT count(cdc.unredact(id)) > 0 AS removed FROM cdc.redaction_rules;
INSERT INTO t VALUES (8, 'open');
SELECT key->'id' AS id, new FROM cdc.read('cdc_regress_redact');

-- keys: hashed ones are keys, others are none
SELECT cdc.redact('t', 'id', 'hash') AS rule \gset
UPDATE t SET w = 'by a hash' WHERE id = 8;
UPDATE t SET id = 9 WHERE id = 8;
SELECT * FROM shown();
SELECT cdc.redact('t', 'id', 'mask', length => 1, force => true) AS forced \gset
UPDATE t SET w = 'no key' WHERE id = 9;
DELETE FROM t WHERE id = 9;
SELECT * FROM shown();
-- what identifies the row before is sent, as far as it may be
CREATE TABLE pair (a int, b int, v text, PRIMARY KEY (a, b));
SELECT cdc.redact('pair', 'b', 'mask', length => 1, force => true) > 0 AS forced;
INSERT INTO pair VALUES (1, 1, 'x');
UPDATE pair SET a = 2;
DELETE FROM pair;
SELECT * FROM shown();
DROP TABLE pair;
SELECT cdc.unredact(id) FROM cdc.redaction_rules;

-- what a rule covers
CREATE TABLE root (id int, secret text) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);
SELECT cdc.redact('root', 'secret', 'mask', reason => 'because') AS rule \gset
CREATE TABLE later (x int, secret text, id int);
ALTER TABLE root ATTACH PARTITION later FOR VALUES FROM (10) TO (20) ;
ALTER TABLE later DROP COLUMN x;
ALTER TABLE root ATTACH PARTITION later FOR VALUES FROM (10) TO (20);
CREATE TABLE leaf2 PARTITION OF root FOR VALUES FROM (20) TO (30);
SELECT method, covers, reason FROM cdc.redaction_rules;
INSERT INTO root VALUES (1, 'one'), (11, 'eleven'), (21, 'twenty-one');
ALTER TABLE root DETACH PARTITION leaf2;
ALTER TABLE leaf2 RENAME TO elsewhere;
ALTER TABLE elsewhere RENAME secret TO plain;
INSERT INTO elsewhere VALUES (22, 'twenty-two');
SELECT relation, new, event->'redacted' AS redacted FROM cdc.read('cdc_regress_redact');
SELECT cdc.unredact(:rule, 'no longer');
SELECT count(*) FROM cdc.redaction_rules;
SELECT action, rule->>'method' AS method, rule->>'reason' AS reason, former->>'reason' AS former, by = session_user AS mine
FROM cdc.redaction_audit WHERE (rule->>'id')::bigint = :rule ORDER BY at;
INSERT INTO elsewhere VALUES (23, 'open');
SELECT relation, new FROM cdc.read('cdc_regress_redact');
-- by pattern: columns that there are, and that come
SELECT cdc.redact_matching('%mail\_addr_ss', 'email') > 0 AS made;
CREATE TABLE people (id int PRIMARY KEY, email_address text, "eMail_Address" text, emailxaddress text, mail_addrss text);
SELECT covers FROM cdc.redaction_rules;
INSERT INTO people VALUES (1, 'a@b.c', 'd@e.f', 'g@h.i', 'j@k.l');
SELECT new, event->'redacted' AS redacted FROM cdc.read('cdc_regress_redact');
SELECT cdc.unredact(id) FROM cdc.redaction_rules;

-- a bytea is cut by bytes, one of a domain, too
CREATE DOMAIN bytes AS bytea;
CREATE TABLE cut (id int PRIMARY KEY, plain bytea, own bytes);
SELECT cdc.redact('cut', 'plain', 'truncate', length => 2) > 0 AS plain, cdc.redact('cut', 'own', 'truncate', length => 2) > 0 AS own;
INSERT INTO cut VALUES (1, '\x010203', '\x010203');
SELECT event->'redacted' AS redacted FROM cdc.read('cdc_regress_redact');
-- a rule without what its method needs withholds
SELECT cdc.put_row(jsonb_populate_record(r, '{"length": null}')) FROM cdc.redaction_rule r WHERE removed_at IS NULL;
INSERT INTO cut VALUES (2, '\x010203', '\x010203');
SELECT event->'redacted' AS redacted FROM cdc.read('cdc_regress_redact');
SELECT count(cdc.unredact(id)) AS removed FROM cdc.redaction_rules;
DROP TABLE cut;
DROP DOMAIN bytes;

-- errors
\set VERBOSITY default
SELECT cdc.redact('t', 'none', 'mask');
SELECT cdc.redact('cdc.redaction_rules', 'id', 'mask');
SELECT cdc.redact(NULL, 'v', 'mask');
SELECT cdc.redact('t', 'v', 'shred');
\set VERBOSITY terse
SELECT cdc.redact('t', 'v', NULL);
\set VERBOSITY default
SELECT cdc.redact('t', 'v', 'hash', length => 3);
SELECT cdc.redact('t', 'v', 'mask', value => 'x');
SELECT cdc.redact('t', 'v', 'constant');
SELECT cdc.redact('t', 'v', 'truncate');
SELECT cdc.redact('t', 'v', 'truncate', length => -1);
SELECT cdc.redact('t', 'v', 'partial', prefix => 1);
SELECT cdc.redact('t', 'id', 'mask');
SELECT cdc.redact_matching('', 'mask');
SELECT cdc.redact_matching('x\', 'mask');
SELECT cdc.redact_matching('x\\\', 'mask');
SELECT cdc.unredact(0);
SELECT cdc.unredact(NULL);
TRUNCATE cdc.redaction_rule;
SET session_replication_role = replica;
TRUNCATE cdc.redaction_rule;
RESET session_replication_role;
SELECT count(*) FROM cdc.redaction_rules;

-- the generated .proto
SELECT cdc.redact('t', 'v', 'hash') > 0, cdc.redact('t', 'w', 'drop') > 0;
SELECT cdc.proto('t');
SELECT jsonb_path_query(cdc.table_schema('t'), '$.columns[*].redaction');
SELECT cdc.unredact(id) FROM cdc.redaction_rules;

SELECT cdc.drop_slot('cdc_regress_redact');
DROP TABLE t, root, elsewhere, people;
DROP FUNCTION shown, under;
