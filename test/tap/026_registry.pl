# The registry and walsenders: versions as of the change, after a restore, with its
# tables gone; and the comparison of databases by scripts/schema-check.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $dir = $PostgreSQL::Test::Utils::tmp_check;

sub sql { return $node->safe_psql('postgres', @_) }

# The versions that a stream tells, in their order: 0 where it tells none.
sub versions
{
	my @versions;
	foreach my $batch (batches($_[0]))
	{
		foreach my $field (grep { $_->[0] == 6 } fields($batch))
		{
			my %schema = map { $_->[0] => $_->[1] } fields($field->[1]);
			push @versions, $schema{3} // 0;
		}
	}
	return "@versions";
}

sql('CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY)');
slot($node, $_) for qw(one two gone);
sql(q{INSERT INTO t VALUES (1); SELECT cdc.register('t'); INSERT INTO t VALUES (2); ALTER TABLE t ADD w int; INSERT INTO t VALUES (3);
INSERT INTO other VALUES (1); SET client_min_messages = error; ALTER TABLE t DROP v; INSERT INTO t VALUES (4);
BEGIN; INSERT INTO t VALUES (5); ALTER TABLE t ADD v text NOT NULL DEFAULT 'x'; INSERT INTO t VALUES (6); ALTER TABLE t RENAME v TO u; INSERT INTO t VALUES (7); COMMIT;
ALTER TABLE t RENAME u TO v; INSERT INTO t VALUES (8)});
# (other is not registered)
is(versions(receive($node, 'one')), '0 1 1 0 2 2 3 2', 'versions as of the change');
is(versions(receive($node, 'two', options => { schemas => 'batch' })), '0 1 1 0 2 2 2 3 2', 'and with every batch');
is(sql(q{SELECT string_agg(major || '.' || minor, ' ' ORDER BY major, minor) FROM cdc.schema_versions}), '1.0 1.1 2.0 2.1 3.0', 'as the registry has them');

# registered while a consumer is connected: the schema is told again, with its version
receive($node, 'one');
my $live = IPC::Run::start([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 'one', '--start', '--no-loop', '-f', "$dir/live", '-F', '0', '-s', '1' ]);
wait_active($node, 'one', 'true');
sql('INSERT INTO other VALUES (2)');
ok(eventually(sub { -s "$dir/live" }), 'a consumer is there');
sql(q{SELECT cdc.register('other'); INSERT INTO other VALUES (3); SELECT cdc.unregister('other'); INSERT INTO other VALUES (4); SELECT cdc.register('t', 'none'); INSERT INTO other VALUES (5)});
ok(eventually(sub { versions(slurp_file("$dir/live") =~ s/\n?$/\n/r) eq '0 1 0' }), 'the version alone is news');
$live->signal('INT');
$live->finish;

# DDL of a role that may do nothing with the registry is looked at as well
sql(q{CREATE ROLE owner LOGIN; ALTER TABLE other OWNER TO owner; SELECT cdc.register('other'); ALTER SYSTEM SET cdc.schema_enforcement = reject; SELECT pg_reload_conf()});
ok(eventually(sub { sql('SHOW cdc.schema_enforcement') eq 'reject' }), 'rejected from now on');
my ($out, $err);
$node->psql('postgres', 'ALTER TABLE other RENAME id TO number', stderr => \$err, extra_params => [ '-U', 'owner' ]);
like($err, qr/would break readers of table public.other/, 'an owner is refused');
$node->psql('postgres', q{SET cdc.schema_enforcement = off; ALTER TABLE other RENAME id TO number}, stderr => \$err, extra_params => [ '-U', 'owner' ]);
like($err, qr/permission denied to set parameter|would break readers/, 'and can not switch it off');
is($node->psql('postgres', 'ALTER TABLE other ADD more int', extra_params => [ '-U', 'owner' ]), 0, 'what breaks nobody flows on');
is(sql(q{SELECT by FROM cdc.schema_audit ORDER BY at DESC LIMIT 1}), 'owner', 'recorded as who did it');

# dump and restore: the gate is not in the way, and the tables are found again
sql(q{CREATE TABLE renumbered (gone int, id int PRIMARY KEY, v text); ALTER TABLE renumbered DROP gone; CREATE TABLE same (id int PRIMARY KEY, v text);
SELECT cdc.register('renumbered'); SELECT cdc.register('same'); SELECT cdc.register_reader('billing', 'same', version => 1)});
$node->command_ok([ 'pg_dump', '-d', 'postgres', '-f', "$dir/dump.sql" ], 'pg_dump');
sql('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', "$dir/dump.sql" ], 'restored under the gate');
my $restored = sub { return $node->safe_psql('restored', @_) };
$restored->(q{SELECT cdc.create_slot('restored'); INSERT INTO same VALUES (1); INSERT INTO renumbered VALUES (1)});
is(versions(receive($node, 'restored', db => 'restored')), '0 0', 'no version is told before they are found again');
$node->psql('restored', q{SELECT cdc.check_compatibility('same')}, stderr => \$err);
like($err, qr/was restored.*\n.*\n?.*refresh_registry/, 'which is asked for');
is($restored->(q{SELECT string_agg(relation || ' ' || version, ', ' ORDER BY relation::text) FROM cdc.refresh_registry()}), 'other 1.1, renumbered 2.0, same 1.0, t 4.0',
	'those with other numbers have another version');
$restored->(q{INSERT INTO same VALUES (2); INSERT INTO renumbered VALUES (2)});
is(versions(receive($node, 'restored', db => 'restored')), '1 2', 'the stream tells them');
is($restored->(q{SELECT consumer || ' ' || relation || ' ' || reads FROM cdc.readers}), 'billing same 1', 'readers came along');
is($restored->('SELECT count(*) FROM cdc.refresh_registry()'), '0', 'once is enough');

# comparing databases
my $script = "$FindBin::Bin/../../scripts/schema-check";
append_to_file("$dir/baseline", sql('SELECT cdc.export_schemas()') . "\n");
$node->command_ok([ $script, "$dir/baseline", $node->connstr('postgres') ], 'schema-check: the same database');
sql('CREATE DATABASE migrated');
$node->safe_psql('migrated', q{CREATE EXTENSION cdc; CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id bigint PRIMARY KEY, more int); CREATE TABLE same (id int PRIMARY KEY, v text, w text)});
$node->command_checks_all([ $script, "$dir/baseline", $node->connstr('migrated') ], 1,
	[ qr/^public.other \(version 1.1\): id: was pg_catalog.int4, is pg_catalog.int8: .* \(column_retyped; breaks old readers of new data\)$/m, qr/^public.renumbered .*there is no such table/m ], [qr/^$/], 'schema-check: another one');
my $report = (IPC::Run::run([ $script, "$dir/baseline", $node->connstr('migrated') ], '>', \$out), $out)[1];
unlike($report, qr/public\.(same|t) /, 'additions, and tables without a mode, are nothing to report');
append_to_file("$dir/nonsense", "nonsense\n");
$node->command_checks_all([ $script, "$dir/nonsense", $node->connstr('migrated') ], 2, [qr/^$/], [qr/line is none that cdc.export_schemas\(\) gives/], 'schema-check: no baseline');
$node->command_checks_all([ $script, "$dir/none", $node->connstr('migrated') ], 2, [qr/^$/], [qr/cannot read/], 'schema-check: no file');

# the extension is made anew, with a backlog: nobody can tell the versions of then
receive($node, 'gone');
sql(q{ALTER SYSTEM RESET cdc.schema_enforcement; SELECT pg_reload_conf(); INSERT INTO same VALUES (10); DROP EXTENSION cdc CASCADE; INSERT INTO same VALUES (11); CREATE EXTENSION cdc; SELECT cdc.register('same'); INSERT INTO same VALUES (12)});
is(versions(receive($node, 'gone')), '0 1', 'without an error, and later ones again');

is_up($node, 'the server lives');
$node->stop;
done_testing();
