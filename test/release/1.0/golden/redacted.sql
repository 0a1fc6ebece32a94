-- Columns under rules of redaction: every method, NULL, keys, types.
SELECT cdc.rotate_redaction_secret();
SELECT lo_put(large_object, 0, decode(repeat('5e', 32), 'hex')) FROM cdc.redaction_secret;
CREATE TABLE person (id integer PRIMARY KEY, name text, email text, phone text, salary numeric, born date,
  photo bytea, tags text[], note text, secret text, extra jsonb, plain text);
ALTER TABLE person REPLICA IDENTITY FULL;
SELECT cdc.redact('person', 'name', 'partial', prefix => 1, suffix => 0, filler => '…');
SELECT cdc.redact('person', 'email', 'email');
SELECT cdc.redact('person', 'phone', 'truncate', length => 3);
SELECT cdc.redact('person', 'salary', 'hash');
SELECT cdc.redact('person', 'born', 'constant', value => '"?"');
SELECT cdc.redact('person', 'photo', 'truncate', length => 2);
SELECT cdc.redact('person', 'tags', 'mask', length => 4, filler => '#');
SELECT cdc.redact('person', 'note', 'mask');
SELECT cdc.redact('person', 'secret', 'drop');
SELECT cdc.redact('person', 'extra', 'null');
INSERT INTO person VALUES (1, 'Änne', 'anne@example.org', '0123456789', 12.50, '2000-01-01', '\x0102ff', '{a,b}', 'geheim', 's', '{"a": 1}', 'open'),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (3, '', '', '', 0, 'infinity', '', '{}', '', '', 'null', '');
-- what looks the same has not changed; what becomes NULL is known but where nothing is
UPDATE person SET phone = '0129999999', plain = 'changed' WHERE id = 1;
UPDATE person SET note = 'GEHEIM', secret = 'other', extra = NULL WHERE id = 1;
UPDATE person SET name = NULL, salary = 13, email = 'x' WHERE id = 1;
ALTER TABLE person ADD late text DEFAULT 'of older rows';
SELECT cdc.redact('person', 'late', 'hash');
DELETE FROM person;

-- two rules that contradict each other
CREATE TABLE unsure (id integer PRIMARY KEY, v text);
SELECT cdc.redact('unsure', 'v', 'truncate', length => 1), cdc.redact('unsure', 'v', 'email');
INSERT INTO unsure VALUES (1, 'x');

-- keys: a hashed one is a key, a masked one is none
CREATE TABLE by_hash (id integer PRIMARY KEY, v text);
SELECT cdc.redact('by_hash', 'id', 'hash');
INSERT INTO by_hash VALUES (1, 'one');
UPDATE by_hash SET v = 'uno';
UPDATE by_hash SET id = 2;
DELETE FROM by_hash;
CREATE TABLE no_key (id integer PRIMARY KEY, v text);
SELECT cdc.redact('no_key', 'id', 'mask', length => 1, force => true);
INSERT INTO no_key VALUES (1, 'one');
UPDATE no_key SET v = 'uno';
UPDATE no_key SET id = 2;
DELETE FROM no_key;

-- parts of JSON; withheld: what is not what the path expects
CREATE TABLE profile (id integer PRIMARY KEY, doc jsonb, raw json);
ALTER TABLE profile REPLICA IDENTITY FULL;
SELECT cdc.redact('profile', 'doc', 'hash', path => '$.contact.email'), cdc.redact('profile', 'doc', 'drop', path => '$.phones[*]'),
  cdc.redact('profile', 'raw', 'truncate', length => 1, path => '$.*');
INSERT INTO profile VALUES (1, '{"contact": {"email": "anne@example.org", "city": "Ü"}, "phones": ["1", "2"], "n": null}', '{"a" : "\u00e4bc", "b": 12.50, "b": null}'),
  (2, NULL, NULL), (3, 'null', '[]'), (4, '{"contact": "anne@example.org"}', '"x"');
UPDATE profile SET doc = jsonb_set(doc, '{phones}', '["3"]') WHERE id = 1;
UPDATE profile SET doc = '[]', raw = '{"a": {}}' WHERE id = 1;
DELETE FROM profile WHERE id = 1;
