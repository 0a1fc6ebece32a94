# Every callback through the walsender; and messages outside of transactions
# as the first thing on a connection.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');

$node->safe_psql('postgres', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
slot($node, $_) for qw(bytes json);
$node->safe_psql('postgres', q{
INSERT INTO t VALUES (1, 'one');
SELECT pg_logical_emit_message(false, 'app', 'outside');
BEGIN;
UPDATE t SET v = 'uno';
SELECT pg_logical_emit_message(true, 'app', 'inside');
DELETE FROM t;
COMMIT;
SELECT pg_logical_emit_message(true, 'other', 'alone');
TRUNCATE t;
BEGIN;
INSERT INTO t VALUES (2, 'rolled back');
ROLLBACK;
});

my @json = receive_json($node, 'json', outcomes => 1, options => { messages => '*' });
my @ops = map { /"op":"(\w+)"/ } @json;
is_deeply(\@ops,
	[ qw(INSERT COMMITTED MESSAGE UPDATE MESSAGE DELETE COMMITTED MESSAGE COMMITTED TRUNCATE COMMITTED) ],
	'every callback, in the order of commits, and no rolled-back row');
like($json[0], qr/"relation":"public.t".*"key":\{"id":1\},"new":\{"v":"one"\}/, 'INSERT has its row');
like($json[2], qr/"transactional":false,"prefix":"app","content":"\\\\x6f757473696465"/, 'message outside of transactions');
unlike($json[2], qr/"xid"/, 'which has none');
like($json[3], qr/"new":\{"v":"uno"\}/, 'UPDATE');
like($json[4], qr/"transactional":true,"prefix":"app"/, 'message in a transaction');
like($json[5], qr/"key":\{"id":1\}\}$/, 'DELETE has the key');
like($json[6], qr/"event_count":3\}$/, 'the outcome counts the events');

my $bytes = receive($node, 'bytes', options => { messages => '*' });
is_deeply([ decode($node, $bytes) ], \@json, 'the binary stream says the same as the JSON stream');

# messages are sent on request only
slot($node, 'chosen');
$node->safe_psql('postgres', q{
SELECT pg_logical_emit_message(false, 'a', '1'), pg_logical_emit_message(false, 'b', '2'),
       pg_logical_emit_message(true, 'c', '3'), pg_logical_emit_message(true, 'd', '4')});
is(receive($node, 'chosen', upto => '0/1'), '', 'nothing up to a position that has passed');
my $copy = "SELECT pg_copy_logical_replication_slot('chosen', '%s')";
$node->safe_psql('postgres', sprintf($copy, $_)) for qw(none two);
is(receive($node, 'none'), '', 'no messages by default');
is_deeply([ map { /"prefix":"(\w)"/ } receive_json($node, 'two', options => { messages => 'b,c' }) ],
	[qw(b c)], 'messages of the prefixes that are named');

# The very first thing on a connection is a message outside of transactions:
# no transaction is open in the walsender, and no catalog may be read.
sub first_message
{
	my ($db, $encoding, $prefix, $expected) = @_;

	slot($node, "first_$db", $db);
	$node->safe_psql($db, "SELECT pg_logical_emit_message(false, $prefix, 'x'::bytea)");
	$node->safe_psql($db, sprintf($copy, $_) =~ s/'chosen'/'first_$db'/r) for "json_$db";
	my $got = receive($node, "first_$db", db => $db, options => { messages => '*' });
	is_up($node, "$encoding: the server lives");
	ok(index($got, $expected) > 0, "$encoding: the prefix is UTF-8");
	like(receive($node, "json_$db", db => $db, options => { messages => '*', format => 'json' }),
		qr/"op":"MESSAGE"/, "$encoding: as JSON too");
	is_up($node, "$encoding: the server lives");
}

# (U+00E9 is \xE9 in LATIN1 and \xC3\xA9 in UTF-8)
my $accented = q{convert_from('\xc3a9', 'UTF8')};
first_message('postgres', 'UTF8', $accented, "\xC3\xA9");
$node->safe_psql('postgres',
	"CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
$node->safe_psql('latin1', 'CREATE EXTENSION cdc');
first_message('latin1', 'LATIN1', $accented, "\xC3\xA9");

# A message is acknowledged with its own position, between transactions.
slot($node, 'between');
$node->safe_psql('postgres', q{
SELECT pg_logical_emit_message(false, 'app', '1'); INSERT INTO t VALUES (10);
SELECT pg_logical_emit_message(false, 'app', '2'); INSERT INTO t VALUES (11)});
my %seen;
my @positions = map { /"position":"([^"]+)"/ }
  receive_json($node, 'between', options => { messages => 'app' });
is(scalar(grep { !$seen{$_}++ } @positions), 4, 'four positions, all different');

$node->stop;
done_testing();
