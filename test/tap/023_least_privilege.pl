# The roles of docs/security.md, made by the statements that stand there: what each gets,
# and all that a consumer can try to get what is redacted or withheld.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use File::Path qw(mkpath);
use IO::Select;
use IO::Socket::UNIX;
use IPC::Run;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "max_prepared_transactions = 5\n");
my $tmp = $PostgreSQL::Test::Utils::tmp_check;

sub sql { return $node->safe_psql('postgres', @_) }

# What a role gets when it runs statements: output and errors, all that there is of them.
sub as
{
	my ($role, $statements, %params) = @_;
	local $ENV{PGOPTIONS} = $params{pgoptions} if defined $params{pgoptions};
	my ($out, $err);
	$node->psql('postgres', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$statements", stdout => \$out, stderr => \$err, extra_params => [ '-U', $role, '-At' ], on_error_stop => 0);
	return "$out\n$err";
}

# The statements of docs/security.md that set roles up.
sub documented
{
	my ($setup) = slurp_file("$FindBin::Bin/../../docs/security.md") =~ /^## Setting it up\n(.*?)^## /ms;
	my @blocks = $setup =~ /^```sql\n(.*?)^```/msg;
	@blocks = grep { !/output_plugin_libraries/ } @blocks if !knows_plugin_list();
	return @blocks;
}

# --- values that must not be found, and what stands for them ----------------

my @markers = ('canary@example.org', 'canary-hidden', 'canary-password', 'canary-profile', '4929123456780017', 'c0ffee00c0ffee11', 'canary-key', 'canary-default',
	'canary-failing', 'canary-query', 'canary-removed');
my @forms = map { ($_, unpack('H*', $_)) } @markers;
push @forms, pack('H*', 'c0ffee00c0ffee11');
sub found { my ($bytes) = @_; return join ', ', grep { index($bytes, $_) >= 0 } @forms }

sql(q{
CREATE ROLE shop;
CREATE SCHEMA shop AUTHORIZATION shop;
SET ROLE shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, email text, card text, city text, user_password text, photo bytea, profile jsonb);
ALTER TABLE shop.customers REPLICA IDENTITY FULL;
CREATE TABLE shop.hidden (id int PRIMARY KEY, v text DEFAULT 'x');
CREATE TABLE shop.accounts (email text PRIMARY KEY, balance int);
CREATE TABLE shop.failing (id int PRIMARY KEY, v text, w text);
ALTER TABLE shop.failing REPLICA IDENTITY FULL;
CREATE FUNCTION shop.ignored() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
RESET ROLE});
my @blocks = documented();
cmp_ok(scalar @blocks, '>=', 5, 'the set-up that is documented: ' . @blocks . ' blocks');
my $report;
foreach my $block (@blocks)
{
	my ($out, $err) = ('', '');
	my $rc = $node->psql('postgres', $block, stdout => \$out, stderr => \$err);
	is($rc, 0, (split /\n/, $block)[0]) or diag($err);
	$report = $out;
}
like($report, qr/^warehouse\|REPLICATION\|/m, 'REPLICATION is a way around');
is(join("\n", grep { !/^warehouse\|REPLICATION\|/ && !(/^warehouse\|other output plugins/ && !knows_plugin_list()) } split /\n/, $report), '', 'and the only one');

# beside what is documented: a key that is hashed, a value that cannot be written
sql(q{
SELECT cdc.redact('shop.customers', c, 'mask', length => 3) FROM unnest('{photo,profile}'::name[]) c;
SELECT cdc.redact('shop.accounts', 'email', 'hash'), cdc.redact('shop.failing', 'v', 'hash');
SELECT cdc.grant_read(t, 'billing') FROM unnest('{shop.accounts,shop.failing}'::regclass[]) t;
CREATE PUBLICATION failing FOR TABLE shop.failing WHERE (date_part(v, interval '1 day') > 0)});
sql(q{SELECT cdc.create_slot('failing', options => '{publication_names,failing}', reader => 'billing')});
sql(q{SELECT pg_create_logical_replication_slot('foreign', 'pgoutput')}) if !knows_plugin_list();
my $query = $node->background_psql('postgres');
$query->query_safe(q{/* canary-query */ SELECT 1});
sql(q{
INSERT INTO shop.customers SELECT g, 'canary@example.org', '4929123456780017', 'Springfield', 'canary-password', '\xc0ffee00c0ffee11', '{"v": "canary-profile"}' FROM generate_series(1, 2000) g;
UPDATE shop.customers SET email = 'canary@example.org.', city = 'Shelbyville' WHERE id = 1;
DELETE FROM shop.customers WHERE id = 2;
INSERT INTO shop.hidden SELECT g, 'canary-hidden' FROM generate_series(1, 100) g;
INSERT INTO shop.accounts VALUES ('canary-key', 1), ('canary-key2', 2);
UPDATE shop.accounts SET email = 'canary-key3' WHERE balance = 2;
INSERT INTO shop.failing VALUES (1, 'canary-failing', 'open');
ALTER TABLE shop.customers ADD secret_default text DEFAULT 'canary-default';
SELECT cdc.redact('shop.customers', 'secret_default', 'mask');
INSERT INTO shop.customers (id, city) VALUES (3000, 'Ogdenville');
BEGIN; INSERT INTO shop.customers (id, email, city) VALUES (3001, 'canary@example.org', 'prepared'); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p';
ANALYZE shop.customers, shop.hidden});

# --- the consumer by cdc.fetch() ---------------------------------------------

sub bytes { return pack 'H*', join '', grep { /^[0-9a-f]+$/ } split /\n/, $_[0] }
my $debug = '-c client_min_messages=debug5 -c debug_print_parse=on -c debug_print_rewritten=on -c debug_print_plan=on';
my %got = (
	stream => as('billing', q{SELECT encode(data, 'hex') FROM cdc.fetch('billing') WHERE data IS NOT NULL}),
	'stream with messages for debugging' => as('billing', q{SELECT encode(data, 'hex') FROM cdc.fetch('billing') WHERE data IS NOT NULL}, pgoptions => $debug),
	'JSON lines of what failed' => as('billing', q{SELECT encode(data, 'hex') FROM cdc.fetch('failing') WHERE data IS NOT NULL}, pgoptions => $debug),
	snapshot => as('billing', q{SELECT encode(b, 'hex') FROM cdc.snapshot('shop.customers', slot_name => 'billing') b}, pgoptions => $debug),
	'snapshot of a range' => as('billing', q{SELECT encode(b, 'hex') FROM cdc.snapshot('shop.customers', from_key => '{1}', to_key => '{5}', slot_name => 'billing') b}),
	'snapshot of a hashed key' => as('billing', q{SELECT encode(b, 'hex') FROM cdc.snapshot('shop.accounts', slot_name => 'billing') b}),
	'ranges of a hashed key' => as('billing', q{SELECT * FROM cdc.snapshot_chunks('shop.accounts', 1)}),
	schema => as('billing', q{SELECT cdc.table_schema('shop.customers'), cdc.proto('shop.customers'), cdc.fingerprint('shop.customers')}));
foreach my $name (sort keys %got)
{
	is(found($got{$name}), '', "$name: nothing is found");
	is(found(bytes($got{$name})), '', "$name: nor in its bytes");
}
my $stream = join "\n", decode($node, bytes($got{stream}));
like($stream, qr/"city":"Springfield"/, 'the stream has what is open');
like($stream, qr/"email":\{"method":"hash","new":"1:[0-9a-f]{64}"/, 'what is hashed');
like($stream, qr/"card":\{"method":"partial","new":"\*0017"/, 'and a part of a card\'s number');
unlike($stream, qr/"relation":"shop.hidden"/, 'and no table that was not granted');
like(bytes($got{snapshot}), qr/Ogdenville/, 'so does the snapshot');
like(join("\n", decode($node, bytes($got{'JSON lines of what failed'}))), qr/"failure":\{[^}]*value cannot be written/, 'what failed says no more than that');
like($got{'ranges of a hashed key'}, qr/^\|\|/m, 'a hashed key gives no ranges');

# Everything else that it can try: statement, and what it ends with.
my $secret = sql('SELECT large_object FROM cdc.redaction_secret');
my $denied = qr/permission denied|must be owner|must be superuser|must be (a )?(member|replication)|insufficient privilege|ERROR:  42501/i;
my @attempts = (
	[ 'SELECT * FROM shop.customers', $denied ],
	[ 'SELECT email FROM shop.customers WHERE id = 1', $denied ],
	[ 'SELECT c FROM shop.customers c', $denied ],
	[ 'COPY shop.customers TO STDOUT', $denied ],
	[ 'COPY (SELECT email FROM shop.customers) TO STDOUT', $denied ],
	[ 'EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM shop.customers WHERE email > $$a$$', $denied ],
	[ 'UPDATE shop.customers SET city = email RETURNING *', $denied ],
	[ 'DELETE FROM shop.customers RETURNING *', $denied ],
	[ 'INSERT INTO shop.accounts VALUES ($$x$$) ON CONFLICT (email) DO UPDATE SET balance = 1 RETURNING *', $denied ],
	[ 'SELECT * FROM shop.customers FOR UPDATE', $denied ],
	[ 'CREATE TEMP VIEW v AS SELECT * FROM shop.customers; SELECT * FROM v', $denied ],
	[ 'CREATE TEMP TABLE copy (LIKE shop.customers INCLUDING ALL); INSERT INTO copy SELECT * FROM shop.customers', $denied ],
	[ 'CREATE TEMP TABLE child () INHERITS (shop.customers)', $denied ],
	[ 'CREATE TEMP TABLE refers (email text REFERENCES shop.accounts)', qr/42P16: constraints on temporary tables may reference only temporary tables|$denied/ ],
	[ 'CREATE TRIGGER t BEFORE INSERT ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.ignored()', $denied ],
	[ 'CREATE INDEX ON shop.customers (email)', $denied ],
	[ 'CREATE STATISTICS s ON email, card FROM shop.customers', $denied ],
	[ 'ALTER TABLE shop.customers ADD x int', $denied ],
	[ 'CREATE RULE r AS ON INSERT TO shop.customers DO ALSO SELECT 1', $denied ],
	[ 'CREATE PUBLICATION mine FOR TABLE shop.customers', $denied ],
	[ 'TRUNCATE shop.customers', $denied ],
	# statistics
	[ q{SELECT count(*) || ' rows' FROM pg_stats WHERE schemaname = 'shop'; SELECT most_common_vals, histogram_bounds FROM pg_stats}, qr/^0 rows$/m ],
	[ 'SELECT * FROM pg_statistic', $denied ],
	[ q{SELECT count(*) || ' rows' FROM pg_stats_ext}, qr/^0 rows$/m ],
	[ 'SELECT * FROM pg_statistic_ext_data', $denied ],
	[ q{SELECT * FROM pg_stat_activity}, qr/insufficient privilege/ ],
	[ q{SELECT count(state) || ' shown' FROM pg_stat_replication}, qr/^0 shown$/m ],
	[ 'SELECT * FROM pg_get_backend_memory_contexts()', $denied ],
	# the secret
	[ "SELECT lo_get($secret)", $denied ],
	[ "BEGIN; SELECT lo_open($secret, x'40000'::int); SELECT loread(0, 100); COMMIT", $denied ],
	[ 'SELECT * FROM pg_largeobject', $denied ],
	[ "SELECT lo_export($secret, '/tmp/x')", $denied ],
	[ 'SET lo_compat_privileges = on', $denied ],
	# slots, its own too, by other plugins and functions
	(map { [ $_, $denied ] }
		q{SELECT pg_create_logical_replication_slot('mine', 'pgoutput')},
		q{SELECT pg_create_logical_replication_slot('mine', 'cdc')},
		q{SELECT pg_copy_logical_replication_slot('billing', 'mine', true, 'pgoutput')},
		q{SELECT * FROM pg_logical_slot_peek_changes('billing', NULL, NULL)},
		q{SELECT * FROM pg_logical_slot_get_binary_changes('billing', NULL, NULL)},
		q{SELECT * FROM pg_logical_slot_peek_binary_changes('warehouse', NULL, NULL)},
		q{SELECT pg_replication_slot_advance('billing', pg_current_wal_lsn())},
		q{SELECT pg_drop_replication_slot('billing')},
		q{SELECT * FROM cdc.fetch('warehouse')}),
	(map { [ "SELECT * FROM cdc.fetch('billing', options => '{$_}')", qr/cdc option "\w+" can ?not be given/ ] } 'publication_names,failing', 'tables,*.*', 'on_error,stop', 'old,full', 'messages,*', 'format,json', 'streaming,on', 'two_phase,on', 'rewrites,on', 'origin,any'),
	[ q{SELECT * FROM cdc.fetch('billing', options => '{nonsense,1}')}, qr/22023: unrecognized cdc option: "nonsense"/ ],
	# functions and tables of cdc
	(map { [ "SELECT $_", $denied ] }
		q{cdc.create_slot('mine')}, q{cdc.copy_slot('warehouse', 'mine')}, q{cdc.alter_slot('warehouse', reader => 'billing')},
		q{cdc.alter_slot('billing', '{publication_names,failing}')}, q{cdc.drop_slot('warehouse')}, q{cdc.advance_slot('warehouse', pg_current_wal_lsn())},
		q{* FROM cdc.peek('billing')}, q{* FROM cdc.read('billing')}, q{cdc.redact('shop.customers', 'city', 'drop')}, q{cdc.redact_matching('%', 'truncate', length => 10000)},
		q{cdc.unredact(1)}, q{cdc.rotate_redaction_secret()}, q{cdc.grant_read('shop.hidden', 'billing')}, q{cdc.grant_read(prefix => 'x', role => 'billing')},
		q{cdc.revoke_read('shop.customers', 'warehouse')}, q{* FROM cdc.security_report()}, q{* FROM cdc.redaction_report()},
		q{* FROM cdc.slot_option}, q{* FROM cdc.redaction_rule}, q{* FROM cdc.redaction_rules}, q{* FROM cdc.redaction_audit}, q{* FROM cdc.redaction_secret},
		q{* FROM cdc.read_grant}, q{* FROM cdc.read_grants}, q{* FROM cdc.slots}, q{cdc.snapshot('shop.hidden')}, q{cdc.snapshot_chunks('shop.hidden')}, q{cdc.table_schema('shop.hidden')},
		q{cdc.proto('shop.hidden')}, q{cdc.snapshot('shop.accounts', from_key => '{canary}')}, q{cdc.snapshot('shop.accounts', to_key => '{canary}')},
		q{cdc.snapshot('shop.accounts', from_key => '{canary}', to_key => '{canary}')}),
	(map { [ qq{SELECT cdc.snapshot('$_', slot_name => 'billing')}, qr/not a table whose changes are sent/ ] } 'pg_catalog.pg_authid', 'pg_catalog.pg_largeobject', 'cdc.redaction_secret'),
	[ 'INSERT INTO cdc.read_grant (role_name, schema_name, table_name, granted_at, granted_by) VALUES ($$billing$$, $$shop$$, $$hidden$$, now(), $$x$$)', $denied ],
	[ 'DELETE FROM cdc.redaction_rule', $denied ],
	[ 'UPDATE cdc.slot_option SET value = $$0$$', $denied ],
	[ 'CREATE FUNCTION cdc.check_method(text, text, int, int, int, name) RETURNS void LANGUAGE sql AS $$$$', $denied ],
	# the cursor of a snapshot that is being read: it has the rights of the table's owner
	[ q{BEGIN; DECLARE c CURSOR FOR SELECT length(cdc.snapshot('shop.customers', slot_name => 'billing')) > 0; FETCH c; SELECT name, statement FROM pg_cursors WHERE name <> 'c'; FETCH ALL FROM "<unnamed portal 1>"; ROLLBACK}, qr/cursor "<unnamed portal 1>" does not exist/ ],
	# errors, with all that is said of them
	[ q{SELECT cdc.snapshot('shop.failing', slot_name => 'failing')}, qr/^\\x/m ],
	[ q{SELECT cdc.snapshot('shop.failing', slot_name => 'failing', options => '{on_error,stop}')}, qr/cdc option "on_error" cannot be given/ ],
	[ q{SET client_encoding = 'SQL_ASCII'; SET bytea_output = escape; SELECT cdc.snapshot('shop.failing', slot_name => 'billing')}, qr/open/ ],
	[ q{SET statement_timeout = '1ms'; SELECT cdc.snapshot('shop.customers') FROM generate_series(1, 50)}, qr/57014: canceling statement due to statement timeout/ ],
	# objects of its own with the names of others
	[ q{CREATE TEMP TABLE read_grant AS SELECT 1 AS id, 'billing'::regrole AS role, 'shop.hidden'::regclass AS relation; CREATE TEMP TABLE redaction_rule (id int); SET search_path = pg_temp, cdc; SELECT cdc.snapshot('shop.hidden')}, $denied ],
	[ q{CREATE FUNCTION pg_temp.steal(bigint, bigint) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', (SELECT email FROM shop.customers LIMIT 1); RETURN true; END'; CREATE OPERATOR pg_temp.>= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = pg_temp.steal); SET search_path = pg_temp, pg_catalog; SELECT count(*) || ' batches' FROM cdc.snapshot('shop.customers', from_key => '{1}', slot_name => 'billing')}, qr/^\d+ batches$/m ],
	# the server
	(map { [ $_, $denied ] }
		q{SELECT pg_read_file('PG_VERSION')}, q{SELECT pg_read_binary_file('global/pg_control')}, q{SELECT pg_ls_waldir()}, q{SELECT pg_ls_dir('.')},
		q{SELECT lo_import('/etc/passwd')}, q{CREATE TEMP TABLE f (t text); COPY f FROM '/etc/passwd'}, q{CREATE TEMP TABLE g (t text); COPY g FROM PROGRAM 'id'},
		q{COPY (SELECT 1) TO '/tmp/x'}, q{SELECT pg_switch_wal()}, q{SELECT pg_backup_start('x')}, q{SELECT pg_current_logfile()},
		q{LOAD '/tmp/x.so'}, q{SET session_preload_libraries = 'x'}, q{SET session_replication_role = replica}),
	# (contrib is not everywhere)
	[ q{CREATE EXTENSION pageinspect}, qr/$denied|extension "pageinspect" is not available/ ],
	# other roles and settings
	(map { [ $_, $denied ] }
		# (before the library is loaded it is a name like any other)
		q{SET cdc.check_privileges = off; SELECT cdc.snapshot('shop.hidden')}, q{SELECT set_config('cdc.check_privileges', 'off', false), cdc.fingerprint('shop.customers'); SET cdc.check_privileges = off},
		q{SET ROLE shop}, q{SET ROLE cdc_admin}, q{SET ROLE warehouse},
		q{SET SESSION AUTHORIZATION shop}, q{ALTER ROLE billing REPLICATION}, q{ALTER ROLE billing SUPERUSER}, q{GRANT pg_read_all_data TO billing},
		q{ALTER ROLE billing SET cdc.check_privileges = off}, q{ALTER SYSTEM SET cdc.check_privileges = off}, q{ALTER DATABASE postgres SET cdc.check_privileges = off},
		q{DROP EXTENSION cdc}, q{ALTER EVENT TRIGGER cdc_follow_rules DISABLE}, q{ALTER TABLE cdc.redaction_rule DISABLE TRIGGER ALL}));
my $caught = '';
foreach (@attempts)
{
	my ($statement, $expected) = @$_;
	my $result = as('billing', $statement);
	$caught .= $result;
	like($result, $expected, substr($statement, 0, 110)) or diag($result);
	is(found($result), '', '... and nothing is found') if found($result) ne '';
}
is(found($caught), '', scalar(@attempts) . ' attempts have found nothing');
# programs
sub program
{
	my ($role, @command) = @_;
	my ($out, $err) = ('', '');
	local $ENV{PGUSER} = $role;
	local $ENV{PGDATABASE} = 'postgres';
	my $ok = IPC::Run::run([@command], '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return ($ok, "$out\n$err");
}
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
foreach ([ 'pg_dump' ], [ 'pg_dump', '-t', 'shop.customers' ], [ 'pg_dump', '--large-objects' ], [ 'pg_dumpall' ],
	[ 'pg_basebackup', '-D', "$tmp/stolen" ], [ 'pg_receivewal', '-D', $tmp, '--no-loop' ],
	(map { [ 'pg_recvlogical', '-d', 'postgres', '-f', '-', '--no-loop', @$_ ] } [ '-S', 'billing', '--start' ], [ '-S', 'warehouse', '--start' ], [ '-S', 'mine', '--create-slot', '-P', 'pgoutput' ]))
{
	my ($ok, $result) = program('billing', @$_);
	ok(!$ok, "billing: @$_");
	is(found($result), '', '... finds nothing');
}
my (undef, $dumped) = program('billing', 'pg_dump', '--data-only');
is(found($dumped), '', 'pg_dump of data: nothing');

# the administrator of rules reads neither tables nor streams
foreach ('SELECT * FROM shop.customers', q{SELECT * FROM cdc.fetch('billing')}, q{SELECT cdc.snapshot('shop.customers')}, q{SELECT pg_logical_slot_peek_binary_changes('billing', NULL, NULL)},
	"SELECT lo_get($secret)", q{SELECT cdc.grant_read('shop.customers', 'cdc_admin')}, 'DELETE FROM cdc.redaction_audit', 'UPDATE cdc.redaction_rule SET method = $$truncate$$')
{
	my $result = as('cdc_admin', $_);
	like($result, $denied, "cdc_admin: $_");
	is(found($result), '', '... finds nothing') if found($result) ne '';
}
like(as('cdc_admin', 'SELECT count(*) > 0 FROM cdc.redaction_audit; SELECT slot_name FROM cdc.slots ORDER BY 1; SELECT count(*) FROM cdc.redaction_rules'), qr/^t\nbilling\n/m, 'and sees what it is for');
is(as('cdc_admin', 'SELECT * FROM cdc.security_report()'), sql('SELECT * FROM cdc.security_report()') . "\n", 'its report is that of a superuser');

# --- the consumer with REPLICATION: what stands in the socket ------------------

# Listens beside the server, and passes on; everything that goes through is kept.
my $beside = "$tmp/relay";
mkpath($beside);
$beside = PostgreSQL::Test::Utils::tempdir_short() if length "$beside/.s.PGSQL." . $node->port > 90;
my $listener = IO::Socket::UNIX->new(Local => "$beside/.s.PGSQL." . $node->port, Listen => 5) or die "socket: $!";
my $relay = fork // die "fork: $!";
if ($relay == 0)
{
	my (%peer, %log);
	my $select = IO::Select->new($listener);
	open my $kept, '>:raw', "$tmp/traffic" or POSIX::_exit(1);
	$kept->autoflush(1);
	while (my @ready = $select->can_read)
	{
		foreach my $socket (@ready)
		{
			if ($socket == $listener)
			{
				my $client = $listener->accept or next;
				my $server = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or POSIX::_exit(1);
				($peer{$client}, $peer{$server}) = ($server, $client);
				$select->add($client, $server);
				next;
			}
			my $other = $peer{$socket};
			my $n = sysread $socket, my $bytes, 65536;
			if (!$n)
			{
				$select->remove($socket, $other);
				delete @peer{ $socket, $other };
				close $_ for $socket, $other;
				last;
			}
			syswrite $kept, $bytes;
			for (my $at = 0; $at < $n;)
			{
				$at += syswrite($other, $bytes, $n - $at, $at) // last;
			}
		}
	}
	POSIX::_exit(0);
}
END { my $status = $?; kill 'KILL', $relay if $relay; waitpid $relay, 0 if $relay; $? = $status }
close $listener;

sub traffic_of
{
	my (%options) = @_;
	my $from = -s "$tmp/traffic";
	my $end = end_of_wal($node);
	local $ENV{PGHOST} = $beside;
	my ($ok, $result) = program('warehouse', 'pg_recvlogical', '-d', 'postgres', '-S', 'warehouse', '--start', '--no-loop', '-f', "$tmp/received", '--endpos', $end, map { ('-o', "$_=$options{$_}") } sort keys %options);
	ok($ok, 'received through the relay') or diag($result);
	return substr slurp_file("$tmp/traffic", 0), $from;
}
unlink "$tmp/received";
my $traffic = traffic_of();
like($traffic, qr/START_REPLICATION/, 'the relay sees what is asked for');
like($traffic, qr/Springfield/, 'and what is sent');
like($traffic, qr/1:[0-9a-f]{64}/, 'with hashes');
is(found($traffic), '', 'and nothing that is redacted or withheld');
unlike($traffic, qr/profile_redacted|\*\*\*\*/, 'columns that were not granted are not there in any form');
# The test can fail: without the rule, what is written from then on is there.
sql(q{SELECT cdc.unredact(id) FROM cdc.redaction_rules WHERE relation = 'shop.customers'::regclass AND column_name = 'email';
INSERT INTO shop.customers (id, email, city) VALUES (4000, 'canary-removed', 'North Haverbrook')});
unlink "$tmp/received";
is(found(traffic_of(format => 'json')), 'canary-removed', 'without the rule it is found, and what was written before is not');
sql(q{SELECT cdc.redact('shop.customers', 'email', 'hash')});

# What the documentation says of REPLICATION is so.
like(as('warehouse', 'SELECT * FROM shop.customers'), $denied, 'warehouse may not SELECT');
is(found(as('warehouse', q{SELECT cdc.table_schema('shop.customers'), cdc.proto('shop.customers'); SELECT encode(b, 'escape') FROM cdc.snapshot('shop.customers', slot_name => 'billing') b})), '', 'its schemas and snapshots have nothing');
foreach (q{SET cdc.check_privileges = off; SELECT cdc.snapshot('shop.hidden')}, q{SELECT cdc.fingerprint('shop.customers'); SET cdc.check_privileges = off; SELECT cdc.snapshot('shop.hidden')})
{
	my $result = as('warehouse', $_);
	like($result, $denied, 'nor switch the check off');
	is(found($result), '', '... and nothing is found') if found($result) ne '';
}
like(as('warehouse', q{SELECT * FROM cdc.fetch('billing')}), $denied, 'nor fetch from another one\'s slot');
my (undef, $other) = program('warehouse', 'pg_recvlogical', '-d', 'postgres', '-S', 'billing', '--start', '--no-loop', '-f', '-');
like($other, qr/bound to another role/, 'nor start it');
(undef, $other) = program('warehouse', 'pg_recvlogical', '-d', 'postgres', '-S', 'warehouse', '--start', '--no-loop', '-f', '-', '-o', 'tables=*.*');
like($other, qr/cdc option "tables" can ?not be given for a slot that is bound to a role/, 'nor set what is sent from its own');
SKIP:
{
	skip 'this server lets any plugin be used', 2 if !knows_plugin_list();
	(undef, $other) = program('warehouse', 'pg_recvlogical', '-d', 'postgres', '-S', 'mine', '--create-slot', '-P', 'test_decoding');
	like($other, qr/may not be used as an output plugin/, 'other plugins are refused');
	is(sql(q{SELECT count(*) FROM cdc.security_report() WHERE way = 'other output plugins'}), '0', 'and not reported');
}
my ($copied) = program('warehouse', 'pg_basebackup', '-D', "$tmp/backup", '-X', 'none', '--no-sync', '-c', 'fast');
ok($copied, 'the cluster can be copied');
is(sql(q{SELECT count(*) FROM cdc.security_report() WHERE role = 'warehouse' AND way = 'REPLICATION'}), '1', 'which is reported');
sql($_) for split /\n/, sql(q{SELECT unnest(statements) FROM cdc.security_report() WHERE role = 'warehouse' AND way = 'REPLICATION'});
($copied, $other) = program('warehouse', 'pg_basebackup', '-D', "$tmp/backup2", '-X', 'none', '--no-sync');
ok(!$copied, 'and not any more, after the statements of the report');

# Settings of the server, whatever those of the session are.
sub unchecked { return sql(q{SELECT count(*) FROM cdc.security_report() WHERE way = 'cdc.check_privileges is off'}) }
sql('ALTER ROLE warehouse REPLICATION');
is(unchecked(), '0', 'privileges are checked');
$node->append_conf('postgresql.conf', "CDC.check_privileges = 'off'");
$node->reload;
is(unchecked(), '1', 'not any more: by the configuration');
is(sql('LOAD $$cdc$$; SET cdc.check_privileges = on; SELECT count(*) FROM cdc.security_report() WHERE way ~ $$check_privileges$$'), '1', 'whatever the session has');
foreach (split /\n/, sql(q{SELECT unnest(statements) FROM cdc.security_report() WHERE role = 'warehouse' AND way = 'cdc.check_privileges is off'}))
{
	$node->psql('postgres', "LOAD 'cdc'; $_") if /^SELECT/;
	$node->command_ok([ 'psql', '-Xq', '-d', 'postgres', '-c', "LOAD 'cdc'", '-c', $_ ], $_);
}
ok(eventually(sub { unchecked() eq '0' }), 'the statements of the report close that');
SKIP:
{
	skip 'no output_plugin_libraries', 4 if !knows_plugin_list();
	sub plugins { return sql(q{SELECT regexp_replace(detail, '.*allows ', '') FROM cdc.security_report() WHERE role = 'warehouse' AND way = 'other output plugins'}) }
	sql(q{ALTER SYSTEM SET output_plugin_libraries = pgoutput, "test_decoding", cdc});
	$node->reload;
	is(plugins(), 'pgoutput, test_decoding', 'plugins that are allowed');
	sql($_) for split /\n/, sql(q{SELECT unnest(statements) FROM cdc.security_report() WHERE role = 'warehouse' AND way = 'other output plugins'});
	is(plugins(), '', 'not any more');
	sql('ALTER ROLE warehouse SET output_plugin_libraries = test_decoding, cdc');
	is(plugins(), 'test_decoding (by ALTER ROLE warehouse SET)', 'for a role');
	sql($_) for split /\n/, sql(q{SELECT unnest(statements) FROM cdc.security_report() WHERE role = 'warehouse' AND way = 'other output plugins'});
	is(plugins(), '', 'not any more');
}

# the server's log
my $log = join "\n", grep { !/STATEMENT|QUERY/ } split /\n/, slurp_file($node->logfile);
is(join(', ', grep { /canary-(?!query)/ } split /\n/, $log), '', 'the log has none of it');
$query->quit;
is_up($node, 'the server lives');
$node->stop;
done_testing();
