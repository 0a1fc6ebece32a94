-- Arrays of every message, times with a zone, intervals.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE arrays (id int PRIMARY KEY, b bool[], s int2[], i int[], l int8[], o oid[], r real[], d float8[],
	n numeric[], t text[], j jsonb[], y bytea[], u uuid[], z timestamptz[], iv interval[], m mood[], bx box[]);
INSERT INTO arrays VALUES
	(1, '{t,NULL,f}', '{-1,0,32767}', '{1,NULL,3}', '{9223372036854775807}', '{4294967295}', '{1.5,NaN,NULL}',
		'{-0,Infinity}', '{1.50,NaN}', '{"a b",NULL,"q\"q",""}', '{"{\"a\": 1}","null"}', '{"\\x00ff",NULL}',
		'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', '{"2020-01-01 10:00+00",infinity}', '{"1 mon 2 days"}', '{sad}',
		'{(1,1),(0,0)}'),
	(2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
	(3, '[0:1]={t,f}', '{{1,2},{3,4}}', '[2:3][1:2]={{1,NULL},{3,4}}', '{{{1}}}', NULL, '[-1:0]={0.1,NaN}', NULL,
		'[5:5]={1.50}', '[2:6]={"a b",NULL,"q\"q","","null"}', NULL, '[3:3]={"\\x5c22"}',
		'[0:0]={a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', NULL, NULL, NULL, NULL);
CREATE TABLE zones (id int PRIMARY KEY, t timetz, i interval);
INSERT INTO zones VALUES
	(1, '00:00:00+00', '0'), (2, '24:00:00-15:59:59', '1 year -2 mons 3 days -04:05:06.789'),
	(3, '12:34:56.789+05:30', '-178000000 years'), (4, NULL, NULL);
