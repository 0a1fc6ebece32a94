-- Arguments: NULL, the limits, what is malformed; and what the catalog
-- functions return.
BEGIN;
SELECT no_plan();

-- strict ones give NULL, or no rows
SELECT is(x, NULL, 'NULL gives NULL: ' || f)
FROM (VALUES ('fingerprint', cdc.fingerprint(NULL)), ('table_schema', cdc.table_schema(NULL)::text), ('proto', cdc.proto(NULL))) v(f, x);
SELECT is_empty('SELECT * FROM cdc.decode(NULL)', 'decode of NULL');
SELECT is_empty('SELECT * FROM cdc.decode_json(NULL)', 'decode_json of NULL');
SELECT is_empty('SELECT * FROM cdc.decode('''')', 'decode of nothing');
SELECT throws_ok('SELECT cdc.decode(''\x7f'')', 'XX001', NULL, 'decode of what is damaged');

-- metadata: NULL is a mistake, not nothing
SELECT throws_ok('SELECT cdc.set_metadata(NULL, ''v'')', '22004', 'key must not be NULL', 'set_metadata: no key');
SELECT throws_ok('SELECT cdc.set_metadata(''k'', NULL)', '22004', 'value must not be NULL', 'set_metadata: no value');
SELECT throws_ok('SELECT cdc.set_metadata('''', ''v'')', '22023', 'key must not be empty', 'set_metadata: an empty key');
SELECT lives_ok('SELECT cdc.set_metadata(''k'', '''')', 'set_metadata: an empty value is one');
SELECT lives_ok($$SELECT cdc.set_metadata('k', repeat('x', 4095))$$, 'set_metadata: 4096 bytes');
SELECT throws_ok($$SELECT cdc.set_metadata('k', repeat('x', 4096))$$, '54000', NULL, 'set_metadata: 4097 bytes');
SELECT throws_ok($$SELECT cdc.set_metadata(repeat('x', 4096), 'v')$$, '54000', NULL, 'set_metadata: a key counts too');
SELECT throws_ok($$SELECT cdc.set_metadata('k', repeat(chr(233), 2048))$$, '54000', NULL, 'set_metadata: bytes of UTF-8 count');
SELECT lives_ok($$SELECT cdc.set_metadata('k', repeat(chr(233), 2047))$$, 'set_metadata: as many as fit');

-- traceparent: the form that W3C Trace Context gives
SELECT throws_ok('SELECT cdc.set_traceparent(NULL)', '22004', 'traceparent must not be NULL', 'set_traceparent: NULL');
SELECT lives_ok(format('SELECT cdc.set_traceparent(%L)', t), 'set_traceparent takes ' || t)
FROM unnest(ARRAY['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00',
                  '01-00000000000000000000000000000001-0000000000000001-ff']) t;
SELECT throws_ok(format('SELECT cdc.set_traceparent(%L)', t), '22023', NULL, 'set_traceparent refuses ' || t)
FROM unnest(ARRAY['', '00', 'x', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0',
                  '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g',
                  '00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01',
                  '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01', '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01',
                  '00-00000000000000000000000000000000-00f067aa0ba902b7-01', '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01',
                  'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '0G-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
                  '00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01', ' 0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01']) t;

-- tables, and what is none
CREATE TABLE t (id int PRIMARY KEY, v text DEFAULT 'x');
CREATE VIEW v AS SELECT * FROM t;
SELECT throws_ok(format('SELECT cdc.%s(''v'')', f), '42809', '"v" is not a table', f || ' of a view')
FROM unnest(ARRAY['fingerprint', 'table_schema', 'proto']) f;
SELECT throws_ok(format('SELECT cdc.%s(''t_pkey'')', f), '42809', NULL, f || ' of an index')
FROM unnest(ARRAY['fingerprint', 'table_schema', 'proto']) f;
SELECT matches(cdc.fingerprint('t'), '^[0-9a-f]{16}$', 'form of a fingerprint');
SELECT is(cdc.table_schema('t') #>> '{columns,0,name}', 'id', 'table_schema has the columns');
SELECT is(cdc.table_schema('t') #> '{columns,0,key}', 'true', 'and the key');
SELECT is(cdc.table_schema('t') ->> 'schema', 'public', 'and the schema');
ALTER TABLE t ADD c int DEFAULT 7;
SELECT is(cdc.table_schema('t') #> '{columns,2,missing}', '7', 'and what older rows have');
SELECT ok(position(cdc.fingerprint('t') in cdc.proto('t')) > 0, 'proto names the fingerprint');

-- slots
SELECT throws_ok('SELECT cdc.drop_slot(''cdc_pgtap_none'')', '42704', NULL, 'drop_slot: no such slot');
SELECT throws_ok('SELECT cdc.create_slot(''Upper Case'')', '42602', NULL, 'create_slot: a name that none can have');
SELECT is(cdc.create_slot(NULL), NULL, 'create_slot of NULL');
SELECT throws_ok('SELECT * FROM cdc.peek(''cdc_pgtap_none'')', '42704', NULL, 'peek: no such slot');
SELECT throws_ok('SELECT * FROM cdc.read(''cdc_pgtap_none'')', '42704', NULL, 'read: no such slot');

SELECT * FROM finish();
ROLLBACK;
