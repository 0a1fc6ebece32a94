# Rules of redaction and walsenders: made while a consumer is connected, between two
# connections, with a backlog; and when what they are kept in is gone.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use IPC::Run;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "logical_decoding_work_mem = 64kB\nmax_prepared_transactions = 5\n");

sub sql { return $node->safe_psql('postgres', @_) }

# id=value or id:what stands for it, of all rows
sub rows
{
	return join ' ', map {
		my ($id) = /"id":(\d+)/;
		my ($open) = /"new":\{"v":"([^"]*)"/;
		my ($hidden) = /"redacted":\{"v":(\{[^}]*\})/;
		my ($new) = ($hidden // '') =~ /"new":"([^"]*)"/;
		$id . (defined $open ? "=$open" : ':' . ($new // ($hidden // '') =~ s/.*"method":"(\w+)".*/$1/r));
	} @_;
}

sql('CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY, v text)');
slot($node, $_) for qw(one two live gone privileged);

# a backlog before, inside and after: two slots see the same
sql(q{INSERT INTO t VALUES (1, 'a'); BEGIN; INSERT INTO t VALUES (2, 'b'); SELECT cdc.redact('t', 'v', 'constant', value => 'x'); INSERT INTO t VALUES (3, 'c'); COMMIT; INSERT INTO t VALUES (4, 'd')});
is(rows(receive_json($node, 'one')), '1:x 2:x 3:x 4:x', 'a rule covers the backlog');
sql(q{SELECT cdc.unredact(id) FROM cdc.redaction_rules; INSERT INTO t VALUES (5, 'e')});
is(rows(receive_json($node, 'two')), '1:x 2:x 3:x 4:x 5=e', 'and what was committed before it was removed, also then');
is(rows(receive_json($node, 'one')), '5=e', 'the other slot');

# While a consumer is connected: from the next transaction on, also for a change that
# was made before, but is decoded later.
receive($node, 'live');
my $file = "$PostgreSQL::Test::Utils::tmp_check/live.json";
my $live = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 'live', '--start', '--no-loop', '-f', $file, '-F', '0', '-s', '1', '-o', 'format=json' ]);
wait_active($node, 'live', 'true');
sub caught_up
{
	my ($what) = @_;
	ok(eventually(sub { slurp_file($file) =~ $what }), "the consumer has seen $what");
}
sql(q{INSERT INTO t VALUES (10, 'open')});
caught_up(qr/"id":10/);
my $long = $node->background_psql('postgres');
$long->query_safe(q{BEGIN; INSERT INTO t VALUES (11, 'made before, committed after')});
sql(q{SELECT cdc.redact('t', 'v', 'constant', value => 'y')});
$long->query_safe('COMMIT');
sql(q{INSERT INTO t VALUES (12, 'after')});
caught_up(qr/"id":12/);
sql(q{SELECT cdc.unredact(id) FROM cdc.redaction_rules; INSERT INTO t VALUES (13, 'open')});
caught_up(qr/"id":13/);
sql(q{SELECT cdc.redact_matching('v', 'constant', value => 'z'); INSERT INTO other VALUES (14, 'another table'); ALTER TABLE other ADD n int DEFAULT 3; INSERT INTO other VALUES (15, 'x', 4)});
caught_up(qr/"id":15/);
sql(q{SELECT cdc.unredact(id) FROM cdc.redaction_rules; INSERT INTO t VALUES (16, 'open')});
caught_up(qr/"id":16/);
$live->signal('INT');
$live->finish;
$long->quit;
is(rows(grep { /^\{"position/ } split /\n/, slurp_file($file)), '10=open 11:y 12:y 13=open 14:z 15:z 16=open', 'each under the rules that counted');

# a hash by the secret that was current at the start
sql(q{SELECT cdc.redact('t', 'v', 'hash'); INSERT INTO t VALUES (20, 'same')});
my ($first) = reverse receive_json($node, 'live');
sql(q{SELECT cdc.rotate_redaction_secret(); INSERT INTO t VALUES (21, 'same')});
my ($second) = receive_json($node, 'live');
like($first, qr/"new":"1:[0-9a-f]{64}"/, 'the first secret');
like($second, qr/"new":"2:[0-9a-f]{64}"/, 'the second');
# a secret that is gone: nothing can be hashed
sql(q{SELECT lo_unlink(large_object) FROM cdc.redaction_secret; INSERT INTO t VALUES (22, 'x')});
is(rows(receive_json($node, 'live')), '22:withheld', 'without a secret it is withheld');
sql(q{SELECT cdc.unredact(id) FROM cdc.redaction_rules});

# The extension is made anew, with a backlog that had rules: nothing of it can be read,
# so everything is withheld from whoever is no superuser; and never an error.
sql(q{CREATE ROLE reader LOGIN REPLICATION; GRANT SELECT ON t TO reader});
sql(q{SELECT cdc.redact('t', 'v', 'drop')});
receive($node, $_) for qw(gone privileged);
sql(q{INSERT INTO t VALUES (30, 'under a rule'); DROP EXTENSION cdc CASCADE; INSERT INTO t VALUES (31, 'without the extension'); CREATE EXTENSION cdc; INSERT INTO t VALUES (32, 'with a new one')});
my $end = end_of_wal($node);
my $lines = do { local $ENV{PGUSER} = 'reader'; receive($node, 'gone', upto => $end, options => { format => 'json' }) };
unlike($lines, qr/under a rule/, 'the value is not sent');
like($lines, qr/"v":\{"method":"withheld"\}/, 'but said to be withheld');
like($lines, qr/with a new one/, 'and what comes later is sent');
like(receive($node, 'privileged', options => { format => 'json' }), qr/under a rule/, 'a superuser is told');

# Changes of the rules themselves are in no backlog, so that one is read on whatever has
# become of their tables.
slot($node, 'goes_on');
sql(q{SELECT cdc.redact('t', 'v', 'drop'); INSERT INTO t VALUES (40, 'x'); DROP EXTENSION cdc CASCADE; CREATE EXTENSION cdc; INSERT INTO t VALUES (41, 'goes on')});
like(receive($node, 'goes_on', options => { format => 'json' }), qr/goes on/, 'the extension is made anew, and the stream goes on');

# A removal has the position of its COMMIT: what others commit until then stays redacted, whenever
# it is read. So has an installation: what was committed before is withheld.
slot($node, $_) for qw(removal later);
sub committed_beside
{
	my ($statements, $id, $end) = @_;
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; $statements");
	sql("INSERT INTO t VALUES ($id, 'beside')");
	$session->query_safe($end // 'COMMIT');
	$session->quit;
	sql("INSERT INTO t VALUES ($id + 1, 'after')");
}
my $constant = q{SELECT cdc.redact('t', 'v', 'constant', value => 'x')};
my $remove = q{SELECT cdc.unredact(id, repeat('a reason of some length ', 1000)) FROM cdc.redaction_rules};
sql($constant);
committed_beside($remove, 50);
is(rows(receive_json($node, 'removal')), '50:x 51=after', 'committed between unredact() and COMMIT');
sql($constant);
committed_beside("SAVEPOINT s; $remove; RELEASE s; CREATE TABLE aside (n int)", 60);
is(rows(receive_json($node, 'removal')), '60:x 61=after', 'in a savepoint');
is(rows(receive_json($node, 'later')), '50:x 51:x 60:x 61=after', 'read later, when there were two');
sql($constant);
committed_beside("SAVEPOINT s; $remove; ROLLBACK TO s", 70);
committed_beside($remove, 72, 'ROLLBACK');
is(rows(receive_json($node, 'removal')), '70:x 71:x 72:x 73:x', 'rolled back');

# An open removal is no removal, also where its row stands before the one that it replaces.
sql('VACUUM cdc.redaction_rule');
my $remover = $node->background_psql('postgres');
$remover->query_safe("BEGIN; $remove");
sql(q{INSERT INTO t VALUES (78, 'beside')});
is(rows(receive_json($node, 'removal')), '78:x', 'read while a removal is open');
$remover->query_safe('ROLLBACK');
$remover->quit;
my (undef, undef, $refused) = $node->psql('postgres', "BEGIN; $remove; PREPARE TRANSACTION 'p'");
like($refused, qr/cannot PREPARE a transaction that has removed a rule/, 'a removal cannot be prepared');
is(sql('SELECT count(*) FROM cdc.redaction_rules'), '1', 'and then is none');
sql("BEGIN; SAVEPOINT s; $remove; ROLLBACK TO s; CREATE TABLE prepared (n int); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'");
is(sql('SELECT count(*) FROM prepared'), '0', 'without the removal the rest can');
slot($node, $_) for qw(anew anew_privileged);
committed_beside('SET LOCAL client_min_messages = warning; DROP EXTENSION cdc CASCADE; CREATE EXTENSION cdc', 80);
$end = end_of_wal($node);
$lines = do { local $ENV{PGUSER} = 'reader'; receive($node, 'anew', upto => $end, options => { format => 'json' }) };
unlike($lines, qr/beside/, 'the extension is made anew: what was committed before that was is withheld');
like($lines, qr/after/, 'and what comes later sent');
is(rows(receive_json($node, 'anew_privileged')), '80=beside 81=after', 'a superuser is told');

# no extension: no stream
sql('DROP EXTENSION cdc CASCADE');
$node->command_fails_like([ 'pg_recvlogical', '-S', 'one', '-d', 'postgres', '--start', '--no-loop', '-f', '-' ],
	qr/extension "cdc" is not installed/, 'without the extension nothing is sent');
sql('CREATE EXTENSION cdc');

# dump and restore, where attnums change: rules and secrets come along
sql(q{CREATE TABLE people (gone int, id int PRIMARY KEY, v text); ALTER TABLE people DROP COLUMN gone;
SELECT cdc.redact('people', 'v', 'hash'); SELECT cdc.redact_matching('w', 'mask')});
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$node->command_ok([ 'pg_dump', '-d', 'postgres', '-f', $dump ], 'pg_dump');
sql('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', $dump ], 'restored');
is($node->safe_psql('restored', q{SELECT string_agg(method || ' ' || covers::text, ', ' ORDER BY id) FROM cdc.redaction_rules}),
	sql(q{SELECT string_agg(method || ' ' || covers::text, ', ' ORDER BY id) FROM cdc.redaction_rules}), 'the rules cover the same');
$node->safe_psql('restored', q{SELECT cdc.create_slot('restored')});
$node->safe_psql('restored', q{INSERT INTO people VALUES (1, 'same')});
sql(q{SELECT cdc.create_slot('origin')});
sql(q{INSERT INTO people VALUES (1, 'same')});
my ($a) = receive($node, 'restored', db => 'restored', options => { format => 'json' }) =~ /"new":"(\d+:[0-9a-f]{64})"/;
my ($b) = receive($node, 'origin', options => { format => 'json' }) =~ /"new":"(\d+:[0-9a-f]{64})"/;
is($a, $b, 'and the hashes are the same');

is_up($node, 'the server lives');
$node->stop;
done_testing();
