# Transactions that stay open, or prepared, with locks on users' types and tables:
# decoding does not wait for them.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "max_prepared_transactions = 4\n");

sub sql { return $node->safe_psql('postgres', @_) }

sql(q{
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN pair_d AS pair;
CREATE TYPE outer_pair AS (p pair, ps pair[]);
CREATE TYPE pairs AS RANGE (subtype = pair);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE likeness (a int, b text);
CREATE TABLE t (id int PRIMARY KEY, c pair, cs pair[], d pair_d, o outer_pair, r pairs, m mood, l likeness, x regclass);
});
slot($node, $_) for qw(stream peek);
sql(q{INSERT INTO t VALUES (1, '(1,x)', '{"(2,y)"}', '(3,z)', '("(4,v)","{""(5,w)""}")', '["(6,a)","(7,b)")', 'glad', '(8,l)', 'likeness');
UPDATE t SET c = '(2,xx)'});
my $want = sql(q{SELECT string_agg(new::text, ' ') FROM cdc.peek('peek')});
like($want, qr/"c": "\(1,x\)".*"c": "\(2,xx\)"/, 'the values come');

sql(q{SELECT cdc.copy_slot('stream', 'copy')});
my $streamed = () = receive_json($node, 'copy');
is($streamed, 2, 'in the stream, too');

# Every statement that locks one of them, in a transaction that has not ended.
my @statements = (
	'ALTER TYPE pair ADD ATTRIBUTE z int',
	'ALTER TYPE pair RENAME ATTRIBUTE a TO aa CASCADE',
	'ALTER TYPE outer_pair DROP ATTRIBUTE ps',
	q{ALTER TYPE mood RENAME VALUE 'sad' TO 'bad'},
	'ALTER TYPE pair RENAME TO couple',
	'ALTER DOMAIN pair_d SET NOT NULL',
	'ALTER TABLE likeness ADD c int',
	'LOCK likeness IN ACCESS EXCLUSIVE MODE',
	'DROP TABLE likeness CASCADE',
	'DROP TYPE outer_pair CASCADE',
	'LOCK t IN ACCESS EXCLUSIVE MODE',
	'ALTER TABLE t ADD y int',
	'REINDEX TABLE t',
);

# Both ways to read, impatiently.
sub reads
{
	my ($when) = @_;

	is(eval { sql(q{SET lock_timeout = '1s'; SELECT string_agg(new::text, ' ') FROM cdc.peek('peek')}) } // "$@", $want, "peek beside $when");
	sql(q{SELECT cdc.copy_slot('stream', 'copy')});
	is(scalar(() = eval { receive_json($node, 'copy', pgoptions => '-c lock_timeout=1s') }), $streamed, "stream beside $when");
	sql(q{SELECT cdc.drop_slot('copy')});
}

sql(q{SELECT cdc.drop_slot('copy')});
foreach my $statement (@statements)
{
	my $session = $node->background_psql('postgres');

	$session->query_safe('SET client_min_messages = warning');
	$session->query_safe('BEGIN');
	$session->query_safe($statement);
	reads($statement);
	$session->query_safe('ROLLBACK');
	$session->quit;
	sql("BEGIN; $statement; PREPARE TRANSACTION 'waiting'");
	reads("prepared $statement");
	sql(q{ROLLBACK PREPARED 'waiting'});
}

$node->stop;
done_testing();
