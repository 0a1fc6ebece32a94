# Counters of slots, and the library in shared_preload_libraries.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use Test::More;

my $node = new_node('main', conf => "shared_preload_libraries = 'cdc'\n");

sub sql { return $node->safe_psql('postgres', @_) }
sub stats
{
	my ($slot, $columns) = @_;
	return sql("SELECT $columns FROM cdc.stats WHERE slot_name = '$slot'");
}

sql(q{CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE hidden (id int PRIMARY KEY);
CREATE ROLE reader LOGIN REPLICATION; GRANT SELECT ON t TO reader});
slot($node, $_) for qw(one two);
is(stats('one', 'events'), '0', 'nothing before it is read');
sql(q{INSERT INTO t SELECT g, 'x' FROM generate_series(1, 10000) g; INSERT INTO hidden VALUES (1), (2); UPDATE t SET v = 'y' WHERE id < 4;
SELECT pg_logical_emit_message(true, 'p', 'content'); SELECT pg_logical_emit_message(false, 'p', 'content'); TRUNCATE hidden});
my $bytes = receive($node, 'one', options => { batch_bytes => 1000 });
is(stats('one', 'transactions, events, failures, withheld_changes, withheld_messages'), '4|10006|0|0|0', 'what was sent');
is(stats('one', 'batches'), scalar(batches($bytes)), 'its batches');
is(stats('one', 'bytes + batches'), length $bytes, 'its bytes, without the newlines of pg_recvlogical');
{
	local $ENV{PGUSER} = 'reader';
	my $upto = do { local $ENV{PGUSER}; delete $ENV{PGUSER}; end_of_wal($node) };
	receive($node, 'two', upto => $upto, options => { messages => '*' });
}
is(stats('two', 'transactions, events, withheld_changes, withheld_messages'), '2|10003|3|2', 'and what was not, since the user may not be sent it');
sql(q{INSERT INTO t VALUES (-1, 'z')});
receive($node, 'one');
is(stats('one', 'transactions, events'), '5|10007', 'added up over connections');
# what is read again counts again; with the slot the counters go
sql(q{SELECT count(*) FROM cdc.peek('two', options => '{messages,*}')}) for 1 .. 2;
is(stats('two', 'events'), 10003 + 2, 'reading again counts');
sql(q{SELECT cdc.drop_slot('one')});
is(stats('one', 'events'), '', 'no slot');
slot($node, 'one');
is(stats('one', 'events'), '0', 'a new one begins at 0');
is(sql(q{CREATE DATABASE other; SELECT count(*) FROM cdc.stats}), '2', 'those of this database');
$node->safe_psql('other', 'CREATE EXTENSION cdc');
is($node->safe_psql('other', 'SELECT count(*) FROM cdc.stats'), '0', 'not of others');

# a change that cannot be encoded, metadata beyond the limit
sql(q{INSERT INTO t SELECT 20000, NULL});
sql(q{BEGIN; SELECT cdc.set_metadata('k' || g, repeat('x', 4000)) FROM generate_series(1, 3) g; INSERT INTO t VALUES (20001, 'x'); COMMIT});
receive($node, 'one');
is(stats('one', 'dropped_metadata'), '2', 'metadata beyond the limit');
is_up($node, 'the server lives');

# values that are not what the path of a rule expects
sql(q{CREATE TABLE d (id int PRIMARY KEY, j jsonb, k json); ALTER TABLE d REPLICA IDENTITY FULL;
SELECT cdc.redact('d', 'j', 'mask', path => '$.a'), cdc.redact('d', 'k', 'mask', path => '$.a');
INSERT INTO d VALUES (1, '{"a": 1}', '{}'), (2, '"x"', '1'), (3, NULL, NULL); UPDATE d SET j = '[1]' WHERE id = 1; UPDATE d SET k = NULL WHERE id = 3});
receive($node, 'one');
is(stats('one', 'withheld_values'), '2', 'values withheld by rules with a path');

# who watches servers needs no other grant
{
	sql('CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher');
	local $ENV{PGUSER} = 'watcher';
	is(stats('one', 'withheld_values'), '2', 'pg_monitor sees the counters');
	is(sql(q{SELECT slot_name FROM cdc.slots WHERE reader IS NULL ORDER BY 1 LIMIT 1}), 'one', 'and the slots');
	isnt(($node->psql('postgres', q{SELECT * FROM cdc.peek('one')}))[0], 0, 'and nothing else');
}

# without the library there are none, which is said
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
my (undef, undef, $err) = $node->psql('postgres', 'SELECT count(*) FROM cdc.stats');
like($err, qr/cdc counts nothing, since it is not in shared_preload_libraries/, 'not preloaded: an error that says so');
sql(q{INSERT INTO t VALUES (30000, 'x')});
isnt(receive($node, 'one'), '', 'the stream goes on');
$node->stop;
done_testing();
