# What others have of the registry: subscriptions nothing, whatever writes it; a restore what
# was dumped, also of a part; and slots a stream that goes on, whatever becomes of its tables.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', extension => 0);
my $other = new_node('other', extension => 0);
my $dir = $PostgreSQL::Test::Utils::tmp_check;

sub sql { return $node->safe_psql('postgres', @_) }

# a subscriber that has no such extension, and another plugin that shows all it meets
my $tables = 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)';
my $connection = $node->connstr('postgres') =~ s/'//gr;
sql("$tables; CREATE PUBLICATION everything FOR ALL TABLES");
$other->safe_psql('postgres', $tables);
$other->safe_psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '$connection' PUBLICATION everything WITH (copy_data = false)");
sql('CREATE EXTENSION cdc');
my $shows = has_plugin('test_decoding');
sql(q{SELECT pg_create_logical_replication_slot('seen', 'test_decoding')}) if $shows;
sql(q{SELECT cdc.create_slot('s')});
sql(q{SET client_min_messages = error;
SELECT cdc.register('t', reason => 'x'); SELECT cdc.register('u'); SELECT cdc.register('t', 'full_transitive');
SELECT cdc.register_reader('billing', 't', 1); SELECT cdc.register_reader('billing', 't', 1);
INSERT INTO t VALUES (1, 'a');
ALTER TABLE t ADD w int; ALTER TABLE t DROP w; ALTER TABLE u RENAME TO x; ALTER TABLE x RENAME TO u;
SELECT cdc.set_enforcement('reject'); SELECT cdc.set_enforcement('warn');
BEGIN; SELECT cdc.allow_breaking('y'); ALTER TABLE t RENAME v TO name; ALTER TABLE t RENAME name TO v; COMMIT;
BEGIN; SELECT cdc.register_reader('other', 't', 1); ROLLBACK;
SELECT cdc.retire_version('t', 2, grace => '1 day');
CREATE TABLE z (id int); SELECT cdc.register('z'); DROP TABLE z;
SELECT cdc.unregister('u'); SELECT * FROM cdc.refresh_registry();
INSERT INTO t VALUES (2, 'b')});
ok(eventually(sub { $other->safe_psql('postgres', 'SELECT count(*) FROM t') eq '2' }), 'a subscriber without the extension has all rows');
unlike(slurp_file($other->logfile), qr/ERROR/, 'and has met no error');
# (the server tells plugins that something was deleted, not what, and pgoutput leaves that out)
SKIP:
{
	skip 'no test_decoding in this installation', 1 if !$shows;
	is(sql(q{SELECT string_agg(data, ' ') FROM pg_logical_slot_get_changes('seen', NULL, NULL) WHERE data ~ '^table cdc\.' AND data !~ ': DELETE: \(no-tuple-data\)$'}), '', 'another plugin sees no row of the registry');
}
$other->safe_psql('postgres', 'DROP SUBSCRIPTION sub');
sql('DROP PUBLICATION everything');
my ($out, $err);
foreach my $command ('UPDATE cdc.schema_detail SET major = 7', 'DELETE FROM cdc.registered_table', 'TRUNCATE cdc.schema_audit')
{
	$node->psql('postgres', $command, stderr => \$err);
	like($err, qr/cannot be changed, removed or truncated by SQL/, "refused: $command");
}

# a dump of a part: what is left out is told, and the rest restored
sql(q{CREATE SCHEMA left_out; CREATE TABLE left_out.a (id int PRIMARY KEY); SELECT cdc.register('left_out.a'); SELECT cdc.register('u')});
my $versions = q{SELECT string_agg(relation || ' ' || major || '.' || minor, ', ' ORDER BY relation::text) FROM cdc.schema_versions WHERE current};
my $before = sql($versions);
foreach my $options ([], [ '-N', 'left_out' ], [ '-T', 'u' ])
{
	my $name = lc 'r' . join '', map { s/\W//gr } @$options;
	my $rest = join ', ', grep { !(@$options && ($options->[0] eq '-N' ? /left_out/ : /^u/)) } split /, /, $before;
	$node->command_checks_all([ 'pg_dump', '-d', 'postgres', '-f', "$dir/$name.sql", @$options ], 0, [qr/^$/], [qr/^$/], "pg_dump @$options, without a warning");
	sql("CREATE DATABASE $name");
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $name, '-f', "$dir/$name.sql" ], 'restored');
	is($node->safe_psql($name, q{SELECT (SELECT count(*) FROM cdc.schema_versions) + (SELECT count(*) FROM cdc.export_schemas()) + (SELECT count(*) FROM cdc.proto_files()) + (SELECT count(*) FROM cdc.readers)}),
		'0', 'nothing breaks before they are found again');
	is($node->psql($name, 'CREATE TABLE more (id int); ALTER TABLE t ADD x int; ALTER TABLE t DROP x', on_error_stop => 1), 0, 'nor is DDL in the way');
	$node->psql($name, 'SELECT * FROM cdc.refresh_registry()', stderr => \$err);
	is(scalar(() = $err =~ /WARNING:  registered table \S+ is not there/g), @$options ? 1 : 0, 'what was left out is told') or diag $err;
	is($node->safe_psql($name, $versions), $rest, 'and the rest is there');
	$node->safe_psql($name, 'SELECT * FROM cdc.refresh_registry(forget => true)');
	is($node->psql($name, 'SELECT * FROM cdc.refresh_registry()', stderr => \$err), 0, 'again');
	is($err, '', 'what is forgotten is told no more');
	is($node->safe_psql($name, q{SELECT cdc.register('t')}), '1.0', 'registering goes on');
}

# the tables are emptied, and gone, with a backlog
receive($node, 's');
sql(q{INSERT INTO t VALUES (3); INSERT INTO u VALUES (3)});
sql(q{SET session_replication_role = replica; ALTER TABLE cdc.schema_detail DISABLE TRIGGER ALL; TRUNCATE cdc.schema_detail; ALTER TABLE cdc.schema_detail ENABLE ALWAYS TRIGGER refuse_sql, ENABLE ALWAYS TRIGGER table_written});
is($node->psql('postgres', 'ALTER TABLE t ADD more int; ALTER TABLE t DROP more', on_error_stop => 1), 0, 'DDL goes on where versions are gone');
sql('INSERT INTO u VALUES (4)');
like(schema_versions(receive($node, 's')), qr/^t \d, u 0$/, 'there are none then, but of what was altered since');
sql(q{INSERT INTO t VALUES (5); DROP EXTENSION cdc CASCADE; CREATE EXTENSION cdc; INSERT INTO t VALUES (6)});
is(schema_versions(receive($node, 's')), 't 0', 'nor after it was made anew');

is_up($node, 'the server lives');
$_->stop for $node, $other;
done_testing();
