# What is withdrawn counts from the moment that it is written, also while nobody sees it
# committed; grants survive dump and restore, by names; and no other plugin sees a trace of
# either.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use IPC::Run;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "lock_timeout = 20s\nmax_prepared_transactions = 5\nlogical_decoding_work_mem = '64kB'\nautovacuum = off\n");
my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $db = 'postgres';

# Commits here do not wait for a standby; those in the background do.
sub sql { return $node->safe_psql($db, 'SET synchronous_commit = local; ' . $_[0]) }

sql(q{CREATE ROLE reader LOGIN REPLICATION; CREATE ROLE grp; CREATE ROLE owner; CREATE ROLE giver;
GRANT CREATE ON SCHEMA public TO owner; GRANT grp TO reader;
GRANT USAGE ON SCHEMA cdc TO giver; GRANT EXECUTE ON FUNCTION cdc.grant_read, cdc.revoke_read TO giver});
slot($node, 'away');
slot($node, 'live');

# The numbers of rows that a reader gets of t; it must get the mark, or the connection has failed.
my $marks = 0;
sql('CREATE TABLE mark (n int); GRANT SELECT ON mark TO PUBLIC');
sub rows
{
	my ($slot, $mark, $lines) = @_;
	like($lines, qr/"new":\{"n":$mark\}/, "slot $slot was read up to mark $mark") or return '?';
	return join ' ', map { my ($id) = /"new":\{[^}]*"id":(\d+)/; ($id // '?') . (/"v":"v"/ ? '' : '-') } grep { /"relation":"public\.t"/ } split /\n/, $lines;
}

sub seen
{
	my ($slot) = @_;
	++$marks;
	sql("INSERT INTO mark VALUES ($marks)");
	my $end = end_of_wal($node);
	local $ENV{PGUSER} = 'reader';
	return rows($slot, $marks, receive($node, $slot, upto => $end, options => { format => 'json' }));
}

# Runs statements whose COMMIT waits for a standby that is not there; returns how to let
# it go.
sub commit_unseen
{
	my ($statements) = @_;
	my $session = $node->background_psql($db, on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/begun/, "\\echo begun\nSET application_name = 'unseen'; $statements;\n");
	$node->poll_query_until($db, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event = 'SyncRep'") or die "$statements: does not wait";
	return sub {
		sql("SELECT pg_cancel_backend($pid)");
		$session->quit;
	};
}

# --- what is committed and not seen -------------------------------------------------

$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
ok($node->poll_query_until($db, "SELECT current_setting('synchronous_standby_names') = 'nobody'"), 'a standby that is away');

my $as_owner = 'SET ROLE owner; CREATE TABLE t (id int, v text); RESET ROLE';
# [what; what is given before; what withdraws it]
my @withdrawn = (
	[ 'revoke_read()', q{SELECT cdc.grant_read('t', 'reader')}, q{SELECT cdc.revoke_read('t', 'reader')} ],
	[ 'revoke_read() of a column', q{SELECT cdc.grant_read('t', 'reader', columns => '{id}')}, q{SELECT cdc.revoke_read('t', 'reader', columns => '{id}')} ],
	[ 'SELECT', 'GRANT SELECT ON t TO reader', 'REVOKE SELECT ON t FROM reader' ],
	[ 'SELECT (id)', 'GRANT SELECT (id) ON t TO reader', 'REVOKE SELECT (id) ON t FROM reader' ],
	[ 'SELECT of PUBLIC', 'GRANT SELECT ON t TO PUBLIC', 'REVOKE SELECT ON t FROM PUBLIC' ],
	[ 'membership', 'GRANT SELECT ON t TO owner; GRANT owner TO reader', 'REVOKE owner FROM reader' ],
	[ 'membership, and grant_read()', q{SELECT cdc.grant_read('t', 'grp')}, 'REVOKE grp FROM reader; INSERT INTO t VALUES (3)', 'GRANT grp TO reader' ],
	[ 'membership in pg_database_owner', 'ALTER DATABASE postgres OWNER TO grp; GRANT SELECT ON t TO pg_database_owner', 'REVOKE grp FROM reader', 'GRANT grp TO reader; ALTER DATABASE postgres OWNER TO postgres' ],
	[ 'pg_read_all_data', 'GRANT pg_read_all_data TO reader', 'REVOKE pg_read_all_data FROM reader' ],
	[ 'ownership', 'ALTER TABLE t OWNER TO reader', 'ALTER TABLE t OWNER TO owner' ],
	[ 'row security', 'GRANT SELECT ON t TO reader', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY' ],
	[ 'BYPASSRLS', 'GRANT SELECT ON t TO reader; ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER ROLE reader BYPASSRLS', 'ALTER ROLE reader NOBYPASSRLS' ],
	[ 'SUPERUSER', 'ALTER ROLE reader SUPERUSER', 'ALTER ROLE reader NOSUPERUSER' ],
	[ 'the grant option of who gave', q{GRANT SELECT ON t TO giver WITH GRANT OPTION; SET ROLE giver; SELECT cdc.grant_read('t', 'reader'); RESET ROLE}, 'REVOKE GRANT OPTION FOR SELECT ON t FROM giver' ],
	[ 'row security, given by another one', q{GRANT SELECT ON t TO giver WITH GRANT OPTION; SET ROLE giver; SELECT cdc.grant_read('t', 'reader'); RESET ROLE}, 'ALTER TABLE t ENABLE ROW LEVEL SECURITY' ],
	[ 'membership of who gave', q{GRANT SELECT ON t TO owner WITH GRANT OPTION; ALTER TABLE t OWNER TO postgres; GRANT SELECT ON t TO owner WITH GRANT OPTION; GRANT owner TO giver; SET ROLE giver; SELECT cdc.grant_read('t', 'reader'); RESET ROLE}, 'REVOKE owner FROM giver' ],
);
foreach (@withdrawn)
{
	my ($what, $given, $withdraw, $restore) = @$_;

	sql("$as_owner; $given; INSERT INTO t VALUES (1, 'v')");
	like(seen('away'), qr/^1-?$/, "$what: given");
	my $release = commit_unseen("BEGIN; $withdraw; INSERT INTO t VALUES (4, 'v'); COMMIT");
	# (ALTER TABLE keeps its lock)
	sql("INSERT INTO t VALUES (5, 'v')") if $withdraw !~ /ALTER TABLE/;
	is(seen('away'), '', "$what: withdrawn, and nobody sees it");
	$release->();
	sql("INSERT INTO t VALUES (6, 'v')");
	is(seen('away'), '', "$what: withdrawn");
	sql('DROP TABLE t' . ($restore ? "; $restore" : ''));
}
# a partition, of what the user may SELECT
sql(q{CREATE TABLE root (id int, v text) PARTITION BY LIST (id); CREATE TABLE t PARTITION OF root DEFAULT; GRANT SELECT ON root TO reader; INSERT INTO t VALUES (1, 'v')});
is(seen('away'), '1', 'a partition: given');
my $release = commit_unseen("BEGIN; ALTER TABLE root DETACH PARTITION t; INSERT INTO t VALUES (4, 'v'); COMMIT");
is(seen('away'), '', 'a partition: detached, and nobody sees it');
$release->();
# one of which the second half of DETACH CONCURRENTLY is pending
sql(q{DROP TABLE t; CREATE TABLE t PARTITION OF root FOR VALUES IN (1, 2, 3, 4)});
{
	my $blocker = $node->background_psql($db);
	$blocker->query_safe('BEGIN; SELECT count(*) FROM root');
	my $session = $node->background_psql($db, on_error_stop => 0);
	my $pid = $session->query_safe('SET synchronous_commit = local; SELECT pg_backend_pid()');
	$session->query_until(qr/begun/, "\\echo begun\nALTER TABLE root DETACH PARTITION t CONCURRENTLY;\n");
	ok($node->poll_query_until($db, q{SELECT count(*) = 1 FROM pg_inherits WHERE inhdetachpending}), 'a partition that is being detached');
	sql("INSERT INTO t VALUES (2, 'v')");
	is(seen('away'), '', 'is none any more');
	$blocker->query_safe('COMMIT');
	$blocker->quit;
	$session->query_safe('SELECT 1');
	$session->quit;
}
sql('DROP TABLE root, t');

# what is given is not sent before others see that
sql($as_owner);
foreach ([ 'SELECT', 'GRANT SELECT ON t TO reader' ], [ 'grant_read()', q{SELECT cdc.grant_read('t', 'reader')} ], [ 'membership', 'GRANT owner TO reader' ])
{
	my ($what, $give) = @$_;
	my $release = commit_unseen("BEGIN; $give; INSERT INTO t VALUES (1, 'v'); COMMIT");
	sql("INSERT INTO t VALUES (2, 'v')");
	is(seen('away'), '', "$what: given, and nobody sees it");
	$release->();
	sql("INSERT INTO t VALUES (3, 'v')");
	is(seen('away'), '3', "$what: given");
	sql('DROP TABLE t; REVOKE owner FROM reader; ' . $as_owner);
}
# tables that were dropped: what waits, whether the DROP is seen or not
sql(q{SELECT cdc.grant_read('t', 'reader'); INSERT INTO t VALUES (1, 'v'); SELECT cdc.advance_slot('live', pg_current_wal_lsn())});
$release = commit_unseen("BEGIN; INSERT INTO t VALUES (2, 'v'); DROP TABLE t; COMMIT");
is(seen('away'), '1 2', 'a table that was dropped, and nobody sees it: nothing is lost');
$release->();
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
sql("$as_owner; INSERT INTO t VALUES (3, 'v')");
is(seen('away'), '', 'another table has no grant');
sql(q{SELECT cdc.grant_read('t', 'reader')});
cmp_ok(sql('SELECT count(*) FROM cdc.read_grant_dropped'), '>', 0, 'what a slot needs of the grant is kept');
is(seen('live'), '2 3', 'and counts');
sql(q{SELECT cdc.advance_slot(s, pg_current_wal_lsn()) FROM unnest('{live,away}'::name[]) s});
seen('live'), seen('away');
sql('CHECKPOINT');

# --- while a consumer is connected ---------------------------------------------------

my $file = "$tmp/grants.json";
my $consumer = do {
	local $ENV{PGUSER} = 'reader';
	IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr($db), '-S', 'live', '--start', '--no-loop', '-f', $file, '-F', '0', '-s', '1', '-o', 'format=json' ], '2>', \my $ignored);
};
wait_active($node, 'live', 'true');
my $read = 0;
sub seen_live
{
	++$marks;
	sql("INSERT INTO mark VALUES ($marks)");
	eventually(sub { slurp_file($file) =~ /"new":\{"n":$marks\}/ });
	my $all = slurp_file($file);
	my $new = substr $all, $read;
	$read = length $all;
	return rows('live', $marks, $new);
}
sql("INSERT INTO t VALUES (10, 'v')");
is(seen_live(), '10', 'connected: given');
my $other = $node->background_psql($db);
$other->query_safe(q{BEGIN; SELECT cdc.revoke_read('t', 'reader')});
sql("INSERT INTO t VALUES (11, 'v')");
is(seen_live(), '11', 'nothing is known of what others have not committed');
# but once it looks
sql('CREATE ROLE somebody');
sql("GRANT grp TO somebody; INSERT INTO t VALUES (12, 'v')");
is(seen_live(), '', 'until it looks');
$other->query_safe('ROLLBACK');
sql("INSERT INTO t VALUES (13, 'v')");
is(seen_live(), '13', 'what is rolled back is noticed without being told');
$other->query_safe(q{BEGIN; SELECT cdc.revoke_read('t', 'reader'); PREPARE TRANSACTION 'p'});
sql("REVOKE grp FROM somebody; INSERT INTO t VALUES (14, 'v')");
is(seen_live(), '', 'a withdrawal that is prepared counts');
$other->query_safe(q{ROLLBACK PREPARED 'p'});
sql("INSERT INTO t VALUES (15, 'v')");
is(seen_live(), '15', 'until it is rolled back');
# between the parts of a transaction that is streamed
slot($node, 'streamed');
my $parts = "$tmp/parts.pb";
my $streamed = do {
	local $ENV{PGUSER} = 'reader';
	IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr($db), '-S', 'streamed', '--start', '--no-loop', '-f', $parts, '-F', '0', '-s', '1', '-o', 'streaming=on' ], '2>', \my $ignored);
};
wait_active($node, 'streamed', 'true');
sql('CREATE TABLE flag (v text); GRANT SELECT ON flag TO PUBLIC');
foreach ([ 'revoke_read', q{SELECT cdc.revoke_read('t', 'reader')}, 'SELECT 1' ], [ 'revoke', 'REVOKE SELECT ON t FROM reader', 'GRANT SELECT ON t TO reader' ])
{
	my ($what, $withdraw, $give) = @$_;
	sql($give);
	$other->query_safe(qq{BEGIN; INSERT INTO t SELECT g, '$what-before-' || g FROM generate_series(10000, 13000) g});
	ok(eventually(sub { slurp_file($parts) =~ /$what-before-12000/ }), "$what: a part of a transaction is sent");
	sql($withdraw);
	$other->query_safe(qq{INSERT INTO t SELECT g, '$what-after-' || g FROM generate_series(20000, 23000) g; COMMIT});
	sql("INSERT INTO flag VALUES ('flag-$what')");
	ok(eventually(sub { slurp_file($parts) =~ /flag-$what/ }), "$what: sent to its end");
	unlike(slurp_file($parts), qr/$what-after-23000/, "$what: without what follows");
}
$streamed->signal('INT');
$streamed->finish;
$other->quit;
$consumer->signal('INT');
$consumer->finish;

# --- dump and restore -------------------------------------------------------------------

sql(q{DROP TABLE t; DROP ROLE somebody; CREATE ROLE former; CREATE SCHEMA s; CREATE SCHEMA other;
CREATE TABLE s.a (gone int, id int PRIMARY KEY, v text); ALTER TABLE s.a DROP gone; ALTER TABLE s.a OWNER TO owner;
CREATE TABLE s.b (id int PRIMARY KEY, v text); CREATE TABLE other.c (id int); CREATE TABLE s.dropped (id int);
GRANT USAGE ON SCHEMA s TO giver;
GRANT SELECT ON s.b TO giver WITH GRANT OPTION;
SELECT cdc.grant_read('s.a', 'reader', columns => '{v}'), cdc.grant_read('other.c', 'reader'), cdc.grant_read('s.dropped', 'reader'),
  cdc.grant_read(prefix => 'audit', role => 'reader'), cdc.grant_read('s.b', 'former');
SET ROLE giver; SELECT cdc.grant_read('s.b', 'reader', reason => 'it''s'); RESET ROLE;
DROP TABLE s.dropped;
ALTER TABLE s.a RENAME v TO w; ALTER TABLE s.a RENAME TO "A"; ALTER ROLE former RENAME TO later});
my $grants = q{SELECT concat_ws(' ', role, schema_name, table_name, column_name, prefix, giver, counts, bound, reason) FROM cdc.read_grants WHERE role <> 'postgres' AND (table_name <> 't' OR table_name IS NULL) ORDER BY 1};
my $expected = join "\n", 'later s b postgres t t', 'reader audit postgres t t', 'reader other c postgres t t', 'reader s A w owner t t', 'reader s b giver t t it\'s';
is(sql($grants), $expected, 'what is granted');

sub dump_and_restore
{
	my ($name, @options) = @_;
	command_ok([ 'pg_dump', '-Fc', '-f', "$tmp/$name.dump", @options, '-d', $node->connstr($db) ], "pg_dump @options");
	$node->safe_psql($db, "CREATE DATABASE $name");
	command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr($name), "$tmp/$name.dump" ], 'pg_restore');
	return $node->safe_psql($name, $grants);
}
my $reader_of_dump = slurp_file(do { system('pg_dump', '-d', $node->connstr($db), '-f', "$tmp/plain.sql"); "$tmp/plain.sql" });
unlike($reader_of_dump, qr/WARNING/, 'a plain dump');
my ($copied) = $reader_of_dump =~ /^COPY cdc\.read_grant .*?FROM stdin;\n(.*?)^\\\.$/ms;
my $numbers = sql(q{SELECT 's."A"'::regclass::oid || '|' || 'reader'::regrole::oid});
unlike($copied // '', qr/\t(?:$numbers)\t/, 'has no numbers');
# DDL of the restore after the data gives numbers already
is(dump_and_restore('whole'), $expected, 'restored, and bound by the rest of the restore');
is(dump_and_restore('inserts', '--inserts'), $expected, 'by INSERT');
is(dump_and_restore('without_schema', '-N', 'other'), $expected =~ s/^reader other.*\n//mr, 'without a schema: all others');
is(dump_and_restore('without_table', '-T', 's.b'), $expected =~ s/^(later|reader) s b.*\n?//mgr =~ s/\n$//r, 'without a table');
$node->safe_psql('without_table', q{CREATE TABLE s.b (id int, v text); ALTER TABLE s.b OWNER TO reader});
is($node->safe_psql('without_table', "SELECT count(*) FROM cdc.read_grants WHERE table_name = 'b' AND giver = 'giver' AND counts"), '0', 'whose name another one gets: its giver may give nothing of it');
is($node->safe_psql('without_table', 'SELECT count(*) FROM cdc.read_grant_dropped'), '0', 'what is about dropped tables is not dumped');

# by names, until they are bound: then they follow what is renamed
$node->safe_psql('inserts', q{CREATE TABLE s.x (id int)});
$node->safe_psql($db, 'CREATE DATABASE named');
$node->safe_psql('named', q{CREATE EXTENSION cdc; CREATE TABLE swap (v text, id int PRIMARY KEY); CREATE TABLE mark (n int); GRANT SELECT ON mark TO PUBLIC; SELECT cdc.create_slot('named');
INSERT INTO cdc.read_grant (role_name, schema_name, table_name, column_name, granted_at, granted_by) VALUES ('reader', 'public', 'swap', 'id', now(), 'x'), ('reader', 'public', 'none', NULL, now(), 'x'), ('nobody', 'public', 'swap', NULL, now(), 'x');
INSERT INTO swap VALUES ('1', 1)});
sub seen_named
{
	my $end = end_of_wal($node);
	local $ENV{PGUSER} = 'reader';
	my @lines = receive_json($node, 'named', db => 'named', upto => $end);
	return join ' ', map { /"(?:key|new)":(\{.*?\})/ } grep { !/"relation":"public\.mark"/ } @lines;
}
is($node->safe_psql('named', 'SELECT role, table_name, column_name, bound FROM cdc.read_grants'), 'reader|swap|id|f', 'grants by name');
is(seen_named(), '{"id":1}', 'by names');
$node->safe_psql('named', q{ALTER TABLE swap RENAME TO former; CREATE TABLE swap (id int PRIMARY KEY, v text); INSERT INTO swap VALUES (2, 'secret'); INSERT INTO former VALUES ('3', 3)});
is($node->safe_psql('named', 'SELECT role, table_name, column_name, bound FROM cdc.read_grants'), 'reader|former|id|t', 'bound before the first rename');
is(seen_named(), '{"id":3}', 'another table of the name has nothing');
is($node->safe_psql('named', 'CREATE TABLE none (id int); SELECT cdc.bind_grants()'), '1', 'bind_grants() binds the rest');
is($node->safe_psql('named', 'SELECT count(*) FROM cdc.read_grant WHERE role IS NULL'), '1', 'but what there is no role of');
# (a template has the same numbers)
$node->safe_psql($db, 'CREATE DATABASE copied TEMPLATE whole');
is($node->safe_psql('copied', $grants), $expected, 'CREATE DATABASE with a template');
is($node->safe_psql('copied', q{ALTER TABLE s."A" RENAME TO a; SELECT table_name FROM cdc.read_grants WHERE column_name = 'w'}), 'a', 'has numbers that count');

# --- no trace in other streams ------------------------------------------------------------

SKIP:
{
	skip 'no test_decoding in this installation', 2 if !has_plugin('test_decoding');
	sql(q{SELECT pg_create_logical_replication_slot('foreign', 'test_decoding')});
	sql(q{CREATE TABLE traced (id int PRIMARY KEY, v text); SELECT cdc.grant_read('traced', 'reader', reason => 'canary'), cdc.grant_read('traced', 'grp', columns => '{id}'), cdc.grant_read(prefix => 'canary', role => 'reader');
INSERT INTO traced VALUES (1, 'here');
SELECT cdc.revoke_read('traced', 'grp'); SELECT cdc.bind_grants(), cdc.prune_grants(); SELECT cdc.rotate_redaction_secret();
SELECT cdc.alter_slot('away', '{old,full}', reader => 'reader'); SELECT cdc.alter_slot('away', '{old,NULL}', reader => 'none');
SELECT cdc.copy_slot('away', 'copy'); SELECT cdc.drop_slot('copy');
DROP TABLE traced});
	my $trace = sql(q{SELECT data FROM pg_logical_slot_get_changes('foreign', NULL, NULL)});
	like($trace, qr/table public\.traced: INSERT/, 'another plugin sees what it should');
	# a DELETE without a row is sent by no plugin to a subscription
	unlike($trace, qr/table cdc\.\S+ (?!DELETE: \(no-tuple-data\)\n)/, 'and no row of the extension');
	sql(q{SELECT pg_drop_replication_slot('foreign')});
}

# --- secrets ---------------------------------------------------------------------------------

sql(q{CREATE TABLE hashed (id int PRIMARY KEY, v text); SELECT cdc.redact('hashed', 'v', 'hash'); SELECT cdc.create_slot('hashed'); INSERT INTO hashed VALUES (1, 'x')});
sub hashed { return join "\n", receive_json($node, 'hashed') }
my $secret = sql('SELECT large_object FROM cdc.redaction_secret ORDER BY number DESC LIMIT 1');
like(hashed(), qr/"method":"hash"/, 'hashed by the secret');
sql("ALTER LARGE OBJECT $secret OWNER TO reader; INSERT INTO hashed VALUES (2, 'x')");
my $without = hashed();
like($without, qr/"id":2.*"method":"withheld"/s, 'a secret that belongs to somebody else is not used');
is(sql(q{SELECT count(*) FROM cdc.security_report() WHERE way = 'the secret of hashes' AND role = 'reader'}), '1', 'and reported');
# whoever calls for one, it is the extension's owner's
sql('ALTER ROLE reader NOREPLICATION; GRANT USAGE ON SCHEMA cdc TO reader; GRANT EXECUTE ON FUNCTION cdc.rotate_redaction_secret TO reader; SET ROLE reader; SELECT cdc.rotate_redaction_secret(); RESET ROLE; INSERT INTO hashed VALUES (3, $$x$$)');
is(sql('SELECT pg_get_userbyid(lomowner) FROM pg_largeobject_metadata WHERE oid = (SELECT large_object FROM cdc.redaction_secret ORDER BY number DESC LIMIT 1)'), 'postgres', 'a secret that another role has made');
like(hashed(), qr/"id":3.*"method":"hash"/s, 'is used');

is_up($node, 'the server lives');
$node->stop;
done_testing();
