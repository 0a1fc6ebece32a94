# What a role is sent follows what it was granted, as of now: while a consumer is connected,
# between two connections, before, inside and after transactions; and no client switches
# the check off.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use IPC::Run;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "lock_timeout = 20s\n");

sub sql { return $node->safe_psql('postgres', @_) }

# Drains a slot as the reader.
sub read_as_reader
{
	my ($slot, %params) = @_;
	my $end = end_of_wal($node);
	local $ENV{PGUSER} = 'reader';
	return receive($node, $slot, upto => $end, %params);
}

# The numbers of rows of table t: with the value, or without.
sub rows
{
	return join ' ', map { my ($id) = /"key":\{"id":(\d+)\}/; ($id // '?') . (/"v":"v"/ ? '' : '-') } grep { /"relation":"public\.t"/ } @_;
}

sql(q{CREATE ROLE reader LOGIN REPLICATION; CREATE ROLE grp; CREATE ROLE owner; ALTER DATABASE postgres OWNER TO owner; GRANT CREATE ON SCHEMA public TO owner;
SET ROLE owner;
CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE mark (n int); GRANT SELECT ON mark TO reader;
RESET ROLE});
slot($node, $_) for qw(live one two again);

# --- while the consumer is connected -------------------------------------------

my $file = "$PostgreSQL::Test::Utils::tmp_check/privileges.json";
sub connect_reader
{
	local $ENV{PGUSER} = 'reader';
	my $h = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 'live', '--start', '--no-loop', '-f', $file, '-F', '0', '-s', '1', '-o', 'format=json' ], '2>', \my $ignored);
	wait_active($node, 'live', 'true');
	return $h;
}
my $live = connect_reader();
my $marks = 0;

# What the consumer has got of t since the last time.
my $read = 0;
sub seen
{
	++$marks;
	sql("INSERT INTO mark VALUES ($marks)");
	ok(eventually(sub { slurp_file($file) =~ /"new":\{"n":$marks\}/ }), "mark $marks") or return '?';
	my $all = slurp_file($file);
	my $new = substr $all, $read;
	$read = length $all;
	return rows(split /\n/, $new);
}

my $id = 0;
sub insert { $id++; sql("INSERT INTO t VALUES ($id, 'v')"); return $id }
# [what is done, to begin with and to end with; whether rows are seen after each]
my @rights = (
	[ 'SELECT', 'GRANT SELECT ON t TO reader', 'REVOKE SELECT ON t FROM reader' ],
	[ 'SELECT by a group', 'GRANT SELECT ON t TO grp; GRANT grp TO reader', 'REVOKE grp FROM reader' ],
	[ 'SELECT of a group', 'GRANT SELECT ON t TO grp; GRANT grp TO reader', 'REVOKE SELECT ON t FROM grp' ],
	[ 'SELECT by PUBLIC', 'GRANT SELECT ON t TO PUBLIC', 'REVOKE SELECT ON t FROM PUBLIC' ],
	[ 'grant_read()', q{SELECT cdc.grant_read('t', 'reader')}, q{SELECT cdc.revoke_read('t', 'reader')} ],
	[ 'grant_read() to a group', q{SELECT cdc.grant_read('t', 'grp')}, q{SELECT cdc.revoke_read('t', 'grp')} ],
	[ 'a grant that a restore brings', q{INSERT INTO cdc.read_grant (role_name, schema_name, table_name, granted_at, granted_by) VALUES ('reader', 'public', 't', now(), 'x')},
		q{SELECT cdc.revoke_read('t', 'reader')} ],
	[ 'pg_read_all_data', 'GRANT pg_read_all_data TO reader', 'REVOKE pg_read_all_data FROM reader' ],
	[ 'membership in the owner', 'GRANT owner TO reader', 'REVOKE owner FROM reader' ],
	[ 'ownership', 'ALTER TABLE t OWNER TO reader', 'ALTER TABLE t OWNER TO owner' ],
	[ 'SUPERUSER', 'ALTER ROLE reader SUPERUSER', 'ALTER ROLE reader NOSUPERUSER' ],
	[ 'row security, bypassed', 'GRANT SELECT ON t TO reader; ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER ROLE reader BYPASSRLS', 'ALTER ROLE reader NOBYPASSRLS' ],
	[ 'row security, switched off', 'ALTER TABLE t DISABLE ROW LEVEL SECURITY', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY' ],
	[ 'row security, without SELECT', 'GRANT SELECT ON t TO reader; ALTER TABLE t DISABLE ROW LEVEL SECURITY', 'REVOKE SELECT ON t FROM reader' ],
	# of schemas nothing is asked, as in PostgreSQL's own decoding
);
is(seen(), '', 'nothing to begin with');
foreach (@rights)
{
	my ($what, $begin, $end) = @$_;

	insert();
	is(seen(), '', "$what: before") if $what ne 'row security, switched off';
	# A transaction that began before is sent under what counts when it is decoded (but
	# ALTER TABLE would wait for it).
	my $waits = "$begin$end" =~ /ALTER TABLE/;
	my $around = sub {
		my ($statements) = @_;
		my $n = ++$id;
		my $other = $node->background_psql('postgres');
		$other->query_safe($waits ? 'BEGIN' : "BEGIN; INSERT INTO t VALUES ($n, 'v')");
		sql($statements);
		$other->query_safe($waits ? "INSERT INTO t VALUES ($n, 'v'); COMMIT" : 'COMMIT');
		$other->quit;
		return "$n " . insert();
	};
	my $expected = $around->($begin);
	is(seen(), $expected, "$what: given, also for a transaction that had begun");
	$around->($end);
	is(seen(), '', "$what: taken away, also from a transaction that had begun");
	# Inside a transaction, which a walsender may decode just before others see it
	# committed: it counts from the next one on.
	foreach ([ $begin, 1 ], [ $end, 0 ])
	{
		my ($statements, $given) = @$_;
		my ($first, $second) = ($id + 1, $id + 2);
		$id += 2;
		sql("BEGIN; INSERT INTO t VALUES ($first, 'v'); $statements; INSERT INTO t VALUES ($second, 'v'); COMMIT");
		insert();
		my $seen = seen();
		like($seen, $given ? qr/^($first )?($second )?$id$/ : qr/^($first)?( ?$second)?$/, "$what: " . ($given ? 'given' : 'taken away') . ' inside a transaction');
	}
	# what is rolled back counts for nothing
	sql("BEGIN; $begin; ROLLBACK");
	insert();
	is(seen(), '', "$what: rolled back");
}
# columns
sql('GRANT SELECT (id) ON t TO reader');
insert();
is(seen(), "$id-", 'a column');
sql('GRANT SELECT (v) ON t TO reader');
insert();
is(seen(), "$id", 'another one');
sql('REVOKE SELECT (v) ON t FROM reader; SELECT cdc.grant_read($$t$$, $$reader$$, columns => $${v}$$)');
insert();
is(seen(), "$id", 'that one by grant_read()');
sql('SELECT cdc.revoke_read($$t$$, $$reader$$, columns => $${v}$$)');
insert();
is(seen(), "$id-", 'and taken away');
sql('ALTER TABLE t RENAME id TO number; ALTER TABLE t RENAME number TO id; REVOKE ALL ON t FROM reader');
# A role that may not replicate any more goes on until it connects again.
sql('GRANT SELECT ON t TO reader; ALTER ROLE reader NOREPLICATION');
insert();
is(seen(), "$id", 'REPLICATION is asked for at the start');
sql('ALTER ROLE reader REPLICATION; REVOKE SELECT ON t FROM reader');
# a slot that is bound while another one reads
sql(q{SELECT cdc.alter_slot('live', reader => 'owner')});
$live->signal('INT');
$live->finish;
my $err = do {
	local $ENV{PGUSER} = 'reader';
	IPC::Run::run([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 'live', '--start', '--no-loop', '-f', '-' ], '>', \my $out, '2>', \my $err);
	$err;
};
like($err, qr/bound to another role/, 'a slot that was bound meanwhile is not started');

# --- between two connections, from two slots -------------------------------------

sql('TRUNCATE t');
read_as_reader($_) for qw(one two again);
sql(q{INSERT INTO t VALUES (1, 'v'); GRANT SELECT ON t TO reader; INSERT INTO t VALUES (2, 'v'); REVOKE SELECT ON t FROM reader; INSERT INTO t VALUES (3, 'v');
BEGIN; INSERT INTO t VALUES (4, 'v'); SELECT cdc.grant_read('t', 'reader'); INSERT INTO t VALUES (5, 'v'); COMMIT;
BEGIN; INSERT INTO t VALUES (6, 'v'); SELECT cdc.revoke_read('t', 'reader'); INSERT INTO t VALUES (7, 'v'); COMMIT; INSERT INTO t VALUES (8, 'v')});
is(rows(split /\n/, read_as_reader('one', options => { format => 'json' })), '', 'nothing, where nothing is granted now');
sql(q{SELECT cdc.grant_read('t', 'reader')});
is(rows(split /\n/, read_as_reader('two', options => { format => 'json' })), '1 2 3 4 5 6 7 8', 'all, where it is granted now');
sql(q{SELECT cdc.copy_slot('again', 'copy')});
my @first = without_source(read_as_reader('again'));
my @second = without_source(read_as_reader('copy'));
is("@first", "@second", 'two slots give the same bytes');
sql(q{SELECT cdc.revoke_read('t', 'reader'); INSERT INTO t VALUES (9, 'v')});
is(rows(split /\n/, read_as_reader($_, options => { format => 'json' })), '', "and nothing any more: slot $_") for qw(one two again copy);

# --- what clients ask for ----------------------------------------------------------

# The walsender has not loaded the library when the client's options are set.
sub tried
{
	my ($slot, $pgoptions, $role, @options) = @_;
	my $end = end_of_wal($node);
	local $ENV{PGOPTIONS} = $pgoptions;
	local $ENV{PGUSER} = $role // 'reader';
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', $slot, '--start', '--no-loop', '-f', '-', '-E', $end, '-o', 'format=json', @options ], '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return ($out, $err, $ok);
}
my ($out, $ok);
foreach my $value ('off', 'OFF', '0', 'false', 'nonsense')
{
	sql("INSERT INTO t VALUES (20 + (SELECT max(id) FROM t), 'v')");
	($out, $err, $ok) = tried('one', "-c cdc.check_privileges=$value");
	is(rows(split /\n/, $out), '', "cdc.check_privileges=$value by a client: nothing is sent");
	is_up($node, "the server lives after $value");
}
($out, $err) = tried('one', '-c CDC.check_privileges=off');
is(rows(split /\n/, $out), '', 'in capitals');
($out, $err, $ok) = tried('one', '-c cdc.nonsense=1');
is_up($node, 'a setting that there is not');
($out, $err) = tried('one', '', undef, '-o', 'check_privileges=off');
like($err, qr/ERROR/, 'as an option it is refused');
# a role of its own would do
($out, $err) = tried('one', '-c role=owner');
ok(!$out || rows(split /\n/, $out) eq '', 'a role that it is not a member of');
like($err, qr/permission denied|FATAL|ERROR/, 'is refused');
# by SQL in a connection that loads it later, and after it was loaded
foreach my $first ('SELECT 1', q{SELECT pg_logical_slot_peek_changes('one', NULL, NULL, 'format', 'json')})
{
	my ($o, $e);
	$node->psql('postgres', "$first; SET cdc.check_privileges = off; SELECT pg_logical_slot_peek_changes('two', NULL, NULL, 'format', 'json')", stdout => \$o, stderr => \$e, extra_params => [ '-U', 'reader', '-At' ], on_error_stop => 0);
	is(rows(split /\n/, $o), '', "SET after $first: nothing is sent");
	like($e, qr/permission denied to set parameter/, 'refused');
}
# a database's owner, a role for itself
foreach ('ALTER DATABASE postgres SET cdc.check_privileges = off', 'ALTER ROLE reader SET cdc.check_privileges = off', 'ALTER ROLE reader IN DATABASE postgres SET cdc.check_privileges = off')
{
	foreach my $first ('SELECT 1', 'LOAD $$cdc$$')
	{
		my ($o, $e);
		$node->psql('postgres', "$first; SET ROLE " . (/DATABASE postgres SET/ && !/IN/ ? 'owner' : 'reader') . "; $_", stdout => \$o, stderr => \$e, on_error_stop => 0);
		like($e, qr/permission denied|must be/, "$_, after $first: refused");
	}
}
is(sql(q{SELECT count(*) FROM cdc.security_report() WHERE way ~ 'check_privileges'}), '0', 'nothing of this is in force');
# superusers can, for a role
sql('SELECT cdc.copy_slot($$two$$, $$unchecked$$); ALTER ROLE reader SET cdc.check_privileges = off');
($out, $err) = tried('unchecked', '');
like(rows(split /\n/, $out), qr/^29( \d+)+$/, 'ALTER ROLE ... SET by a superuser: as with other plugins');
sql('INSERT INTO t VALUES (1000, $$v$$); ALTER ROLE reader RESET cdc.check_privileges');
($out, $err) = tried('unchecked', '');
is(rows(split /\n/, $out), '', 'until it is reset');
sql('ALTER ROLE reader SET cdc.check_privileges = off; INSERT INTO t VALUES (1001, $$v$$)');
($out, $err) = tried('unchecked', '-c cdc.check_privileges=on');
ok($out =~ /^$|1001/, 'a client may ask for less, or is ignored');
sql('ALTER ROLE reader RESET cdc.check_privileges; GRANT SET ON PARAMETER cdc.check_privileges TO reader; INSERT INTO t VALUES (1002, $$v$$)');
($out, $err) = tried('unchecked', '-c cdc.check_privileges=off');
like(rows(split /\n/, $out), qr/1002/, 'whom a superuser allowed to set it, can');
is(sql(q{SELECT way || ' ' || detail FROM cdc.security_report() WHERE way = 'settings'}), 'settings may SET cdc.check_privileges', 'which is reported');

is_up($node, 'the server lives');
$node->stop;
done_testing();
