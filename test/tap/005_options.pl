# Options through the walsender: what is wrong is an error that says what is
# allowed, and leaves the slot as it was; what is right has an effect.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');

$node->safe_psql('postgres', 'CREATE TABLE t (id int PRIMARY KEY, v text, w int DEFAULT 7); ALTER TABLE t REPLICA IDENTITY FULL');
slot($node, $_) for qw(errors small large batch json old rewrites);
$node->safe_psql('postgres', q{
INSERT INTO t SELECT g, 'value ' || g FROM generate_series(1, 1000) g;
UPDATE t SET v = 'new' WHERE id = 1;
INSERT INTO t VALUES (0, 'alone');
ALTER TABLE t ALTER v TYPE varchar(20);
});

my $names = qr/Options are: proto_version, batch_bytes, schemas, old, format, messages, rewrites/;
my @wrong = (
	[ 'unknown', [qw(nonsense=1)], qr/unrecognized cdc option: "nonsense".*$names/s ],
	[ 'unknown, in upper case', [qw(FORMAT=json)], qr/unrecognized cdc option: "FORMAT".*$names/s ],
	[ 'repeated', [qw(format=json format=json)], qr/cdc option "format" is given more than once/ ],
	[ 'malformed format', [qw(format=xml)], qr/invalid value for cdc option "format": "xml".*Allowed are: protobuf, json/s ],
	[ 'malformed number', [qw(batch_bytes=-1)], qr/invalid value for cdc option "batch_bytes": "-1".*Allowed are: 1 to 16777216/s ],
	[ 'number too large', [qw(batch_bytes=99999999999)], qr/invalid value for cdc option "batch_bytes"/ ],
	[ 'other version', [qw(proto_version=2)], qr/invalid value for cdc option "proto_version": "2".*Allowed are: 1/s ],
	[ 'without a value', [qw(old)], qr/cdc option "old" needs a value/ ],
	[ 'schemas', [qw(schemas=never)], qr/Allowed are: once, batch/ ],
	[ 'empty', [qw(messages=)], qr/invalid value for cdc option "messages".*Allowed are: \*, or prefixes/s ],
	[ 'second of two', [qw(format=json rewrites=maybe)], qr/invalid value for cdc option "rewrites": "maybe"/ ]);

my $upto = end_of_wal($node);
foreach my $wrong (@wrong)
{
	my ($name, $options, $error) = @$wrong;
	$node->command_fails_like(
		[ 'pg_recvlogical', '-S', 'errors', '-d', 'postgres', '--start', '--no-loop', '-f', '-',
		  '--endpos', $upto, map { ('-o', $_) } @$options ], $error, "$name: error");
}
# a table that is asked for and not there is told at once, in a walsender too
$node->command_checks_all(
	[ 'pg_recvlogical', '-S', 'errors', '-d', 'postgres', '--start', '--no-loop', '-f', '-',
	  '--endpos', '0/1', '-o', 'tables=public.t,public.misspelt', '-o', 'format=json' ], 0, [qr/^/],
	[qr/WARNING:  the option "tables" names tables of which nothing is sent.*DETAIL:  These are: public\.misspelt \(no such table\)/s],
	'tables that are not there: a warning');
is_up($node, 'the server lives');
is(scalar(receive_json($node, 'errors')), 1000 + 1 + 1 + 1001, 'the slot has everything still');

# batch_bytes: parts of about that size; the rows are the same
my @small = batches(my $small = receive($node, 'small', options => { batch_bytes => '1kB' }));
my @large = batches(my $large = receive($node, 'large', options => { batch_bytes => '1MB' }));
is(scalar @large, 4, 'a batch for each transaction with batch_bytes=1MB');
cmp_ok(scalar @small, '>', 30, 'many with batch_bytes=1kB: ' . @small);
is(scalar(grep { length > 1024 + 300 } @small), 0, 'none of which is much larger');
is_deeply([ decode($node, $small) ], [ decode($node, $large) ], 'the rows and positions are the same');
my @events = map { join ' ', map { unpack 'H*', $_->[2] } grep { $_->[0] == 7 } fields($_) } @small;
is(join(' ', @events), join(' ', map { join ' ', map { unpack 'H*', $_->[2] } grep { $_->[0] == 7 } fields($_) } @large),
	'and so are the bytes of the events');

# schemas = batch: every batch can be read alone
my $batch = receive($node, 'batch', options => { batch_bytes => '1kB', schemas => 'batch' });
my @alone = batches($batch);
is(scalar(grep { my %has = map { $_->[0] => 1 } fields($_); !$has{6} && $has{7} } @alone), 0,
	'schemas=batch: schemas in every batch');
is(scalar(grep { my %has = map { $_->[0] => 1 } fields($_); !$has{9} } @alone), 0, 'and the source');
cmp_ok(scalar(grep { grep { $_->[0] == 6 } fields($_) } @small), '==', 2, 'schemas=once: each once');
is(scalar(grep { grep { $_->[0] == 9 } fields($_) } @small), 1, 'and the source');

my @json = receive_json($node, 'json');
is(scalar @json, 2003, 'format=json');
like($json[1000], qr/"key":\{"id":1\},"old":\{"v":"value 1"\},"new":\{"v":"new"\}/, 'old=changed is the default');
my ($update) = grep { /"op":"UPDATE"/ } receive_json($node, 'old', options => { old => 'full' });
like($update, qr/"key":\{"id":1\},"old":\{"v":"value 1","w":7\},"new":\{"v":"new"\}/, 'old=full');
is(scalar(receive_json($node, 'rewrites', options => { rewrites => 'off' })), 1002, 'rewrites=off');

$node->stop;
done_testing();
