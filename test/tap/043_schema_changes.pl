# What DDL makes of tables, as events: whoever forges, streams, prepares, or may see less.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use Test::More;

my $node = new_node('main',
	conf => "shared_preload_libraries = 'cdc'\ncdc.track_schema = on\nmax_prepared_transactions = 5\n");

sub sql { return $node->safe_psql('postgres', @_) }

# The events of a slot: operation, what has changed, table, former name, or key.
sub told
{
	my ($slot, %params) = @_;
	my @told;
	foreach my $line (receive_json($node, $slot, %params))
	{
		my ($op) = $line =~ /"op":"(\w+)"/;
		my ($relation) = $line =~ /"relation":"public\.(\w+)"/;
		my ($former) = $line =~ /"former_relation":"public\.(\w+)"/;
		my ($change) = $line =~ /"change":"(\w+)"/;
		my ($id) = $line =~ /"id":(\d+)/;
		push @told, join ' ', grep { defined } lc $op, $change, $former && "$former ->", $relation, $id;
	}
	return join ', ', @told;
}

# --- forged and repeated messages -----------------------------------------------
slot($node, $_) for qw(one spy);
sql(q{CREATE TABLE t (id int PRIMARY KEY)});
sql(q{SELECT pg_create_logical_replication_slot('raw', 'test_decoding')});
sql(q{ALTER TABLE t ADD COLUMN a int});
my $message = sql(q{SELECT substring(data FROM 'content:(.*)$') FROM pg_logical_slot_peek_changes('raw', NULL, NULL)
WHERE data ~ 'cdc.schema.* sz: [1-9]'});
isnt($message, '', 'a command has left a message');
my $genuine = sql(q{SELECT encode(substring(data FROM position('content:' IN encode(data, 'escape')) + 8), 'hex')
FROM pg_logical_slot_peek_binary_changes('raw', NULL, NULL) WHERE encode(data, 'escape') ~ 'cdc.schema.* sz: [1-9]'});
is(told('one'), 'schema created t, schema altered t', 'what is true');
sub forged { return sql(q{SELECT forged_messages FROM cdc.stats WHERE slot_name = 'one'}) }
is(forged(), '0', 'none is forged so far');
sql(qq{CREATE ROLE anybody; SET ROLE anybody; SELECT pg_logical_emit_message(true, 'cdc.schema', decode('$genuine', 'hex'))});
is(told('one'), '', 'a message of another transaction says nothing');
is(forged(), '1', 'and is counted');
foreach my $forgery (q{''}, q{'x'}, q{repeat('x', 32)}, q{repeat('x', 100000)}, qq{encode(decode('$genuine', 'hex'), 'escape')})
{
	sql(qq{BEGIN; SET LOCAL cdc.track_schema = off; ALTER TABLE t ADD COLUMN b int; SET LOCAL ROLE anybody;
SELECT pg_logical_emit_message(true, 'cdc.schema', $forgery); RESET ROLE; ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (1); DELETE FROM t; COMMIT});
}
is(told('one'), join(', ', ('insert t 1, delete t 1') x 5), 'forged ones say nothing either');
is(forged(), '5', 'they are counted, but for the empty one');
is(told('spy', options => { messages => '*' }) =~ /message/ ? 1 : 0, 0, 'they are no messages of the stream');
like(sql(q{SELECT count(*) FROM pg_logical_slot_get_changes('raw', NULL, NULL)}), qr/^[1-9]/, 'other plugins go on');

# --- in their places, whatever is streamed ----------------------------------------
$node->safe_psql('postgres', 'CREATE DATABASE places');
$node->safe_psql('places', 'CREATE EXTENSION cdc; CREATE TABLE t (id int PRIMARY KEY, pad text)');
slot($node, $_, 'places') for qw(whole streamed prepared);
my $filler = q{INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(%d, %d) g;};
my $work = sprintf($filler, 1, 300) . q{SAVEPOINT a; ALTER TABLE t ADD COLUMN lost int; } . sprintf($filler, 301, 600)
  . q{ALTER TABLE t RENAME TO lost; INSERT INTO lost SELECT g, repeat('x', 500) FROM generate_series(2001, 2600) g; ROLLBACK TO a; ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (1002);
SAVEPOINT b; ALTER TABLE u RENAME TO w; INSERT INTO w VALUES (1003); RELEASE b; INSERT INTO w VALUES (1004);
DO $$ BEGIN BEGIN ALTER TABLE w ADD COLUMN gone int; INSERT INTO w VALUES (1005); RAISE EXCEPTION 'x'; EXCEPTION WHEN others THEN NULL; END;
INSERT INTO w VALUES (1006); ALTER TABLE w RENAME TO t; END $$; INSERT INTO t VALUES (1007); DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, pad text);};
$node->safe_psql('places', "BEGIN; $work COMMIT");
$node->safe_psql('places', "BEGIN; $work PREPARE TRANSACTION 'p'");
$node->safe_psql('places', "COMMIT PREPARED 'p'");
my %small = (pgoptions => '-c logical_decoding_work_mem=64kB', db => 'places');
my $whole = told('whole', db => 'places');
my $once = join(', ', (map { "insert t $_" } 1 .. 300), 'schema altered t -> u', 'insert u 1002', 'schema altered u -> w',
	'insert w 1003', 'insert w 1004', 'insert w 1006', 'schema altered w -> t', 'insert t 1007', 'schema dropped t ->', 'schema created t');
is($whole, "$once, $once", 'in their places');
sub decoded
{
	my ($slot, %options) = @_;
	my $file = write_file("$slot.bin", receive($node, $slot, %small, options => \%options));
	return $node->safe_psql('places', qq{SELECT string_agg(e->>'op' || coalesce(' ' || (e->>'change'), '') || coalesce(' ' || (e->>'former_relation'), '')
|| coalesce(' ' || (e->>'relation'), '') || coalesce(' ' || (e#>>'{key,id}'), ''), ', ' ORDER BY n)
FROM cdc.decode_json(pg_read_binary_file('$file')) WITH ORDINALITY d(line, n), LATERAL (SELECT line::jsonb) j(e) WHERE e ? 'op'});
}
my $streamed = decoded('streamed', streaming => 'on');
like($streamed, qr/SCHEMA altered public\.u public\.w, INSERT public\.w 1003, INSERT public\.w 1004/, 'streamed: in its place');
my $prepared = decoded('prepared', two_phase => 'on');
like($prepared, qr/INSERT public\.t 300, SCHEMA altered public\.t public\.u, INSERT public\.u 1002, SCHEMA altered public\.u public\.w, INSERT public\.w 1003/, 'prepared, too');

# --- who may see less ------------------------------------------------------------
sql(q{CREATE ROLE reader LOGIN REPLICATION; CREATE TABLE seen (id int PRIMARY KEY, hidden int); CREATE TABLE unseen (id int PRIMARY KEY);
CREATE TABLE kept (id int PRIMARY KEY, hidden int); GRANT SELECT (id) ON kept TO reader});
slot($node, 'least');
sql(q{GRANT SELECT (id) ON seen TO reader; GRANT SELECT ON seen TO reader; REVOKE SELECT ON seen FROM reader; GRANT SELECT (id) ON seen TO reader;
ALTER TABLE unseen ADD COLUMN secret_name int; ALTER TABLE unseen RENAME TO unseen2; DROP TABLE unseen2; ALTER TABLE seen RENAME TO seen2; ALTER TABLE kept RENAME TO kept2; DROP TABLE seen2});
{
	my $upto = end_of_wal($node);
	local $ENV{PGUSER} = 'reader';
	my $bytes = receive($node, 'least', upto => $upto);
	unlike($bytes, qr/unseen|secret_name/, 'nothing of tables that a reader may not see');
	like($bytes, qr/kept2/, 'but of those that it may');
	like($bytes, qr/seen2/, 'the end of one that it could see, too');
}

# --- partitions under their root ---------------------------------------------------
sql(q{CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE PUBLICATION viaroot FOR TABLE p WITH (publish_via_partition_root)});
slot($node, 'root');
sql(q{ALTER TABLE p ADD COLUMN a int; INSERT INTO p VALUES (1, 1); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
INSERT INTO p VALUES (11, 1); ALTER TABLE p RENAME TO q; INSERT INTO q VALUES (2); ALTER TABLE q DETACH PARTITION p1; DROP TABLE p1; DROP TABLE q});
is(told('root', options => { publication_names => 'viaroot' }),
	'schema altered p, insert p 1, insert p 11, schema altered p -> q, insert q 2, schema dropped q ->', 'partitions under their root');

# --- many at once, and beside one another ---------------------------------------------
slot($node, 'many');
sql(q{DO $$ BEGIN FOR i IN 1 .. 300 LOOP EXECUTE format('CREATE TABLE m%s (id int)', i); END LOOP; END $$});
sql(q{CREATE SCHEMA many; DO $$ BEGIN FOR i IN 1 .. 300 LOOP EXECUTE format('ALTER TABLE m%s SET SCHEMA many', i); END LOOP; END $$});
sql(q{SET client_min_messages = warning; ALTER SCHEMA many RENAME TO more; DROP SCHEMA more CASCADE});
is(scalar(() = receive($node, 'many', options => { format => 'json' }) =~ /"op":"SCHEMA"/g), 1200, 'each of many tables, each time');
sql('CREATE TABLE a (id int); CREATE TABLE b (id int)');
my $beside = IPC::Run::start([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') ], '<', \my $in, '>', \my $out, '2>', \my $err);
$in = "BEGIN; ALTER TABLE a RENAME TO a2; INSERT INTO a2 VALUES (1);\n";
$beside->pump_nb;
ok(eventually(sub { $beside->pump_nb; sql(q{SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'}) == 1 }), 'a transaction is open');
sql('BEGIN; ALTER TABLE b RENAME TO b2; INSERT INTO b2 VALUES (2); COMMIT');
$in = "INSERT INTO a2 VALUES (3); COMMIT;\n";
$beside->finish;
is(told('many'), 'schema created a, schema created b, schema altered b -> b2, insert b2 2, schema altered a -> a2, insert a2 1, insert a2 3',
	'beside one another');

# --- without the event trigger -------------------------------------------------------
sub says_so
{
	slot($node, 'source');
	sql('INSERT INTO b2 VALUES (9)');
	my ($source) = map { $_->[1] } grep { $_->[0] == 9 } map { fields($_) } batches(receive($node, 'source', @_));
	my %field = map { $_->[0] => $_->[1] } fields($source);
	sql(q{SELECT cdc.drop_slot('source')});
	return $field{7} // 0;
}
is(says_so(), 1, 'the first batch says that changes of schemas come');
is(says_so(options => { schema_changes => 'off' }), 0, 'not with the option off');
sql('ALTER EVENT TRIGGER cdc_track_schema DISABLE');
is(says_so(), 0, 'nor where commands are not noted');
slot($node, 'without');
sql('ALTER TABLE b2 ADD COLUMN a int; INSERT INTO b2 VALUES (1)');
is(told('without'), 'insert b2 1', 'then rows come as without it');
sql('ALTER EVENT TRIGGER cdc_track_schema ENABLE ALWAYS');
sql('ALTER SYSTEM SET cdc.track_schema = off; SELECT pg_reload_conf()');
is(says_so(), 0, 'nor with the setting off');

is_up($node, 'the server lives');
done_testing();
