# Slots of a standby: what is read there is what the primary sends, under the same rules;
# what is stored for them; and what a standby cannot do.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no logical decoding on standbys before PostgreSQL 16' if major() < 16;

my $primary = new_node('main');
my $standby = PostgreSQL::Test::Cluster->new('standby');
sub sql { return $primary->safe_psql('postgres', @_) }
sub there { return $standby->safe_psql('postgres', @_) }
sub replayed { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')) }

sql(q{CREATE TABLE t (id int PRIMARY KEY, secret text, v text); ALTER TABLE t REPLICA IDENTITY FULL; CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO t VALUES (0, 'canary', 'before');
CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN; GRANT USAGE ON SCHEMA cdc TO reader, stranger; GRANT SELECT ON t, other TO reader, stranger;
GRANT EXECUTE ON FUNCTION cdc.fetch, cdc.snapshot, cdc.decode_json TO reader, stranger;
SELECT cdc.redact('t', 'secret', 'null'); SELECT pg_create_physical_replication_slot('standby');
-- without a logical slot PostgreSQL 19 logs less than one of a standby needs
SELECT cdc.create_slot('s_primary')});
$primary->backup('base');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "primary_slot_name = 'standby'\nhot_standby_feedback = on\n");
$standby->start;
ok($primary->poll_query_until('postgres', q{SELECT catalog_xmin IS NOT NULL OR xmin IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'standby'}), 'feedback has come');

# A slot of the standby's is made as soon as the primary logs what is running.
sub slot_there
{
	my ($name) = @_;
	my ($out, $err) = ('', '');
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $standby->connstr('postgres'), '-c', "SELECT slot_name FROM cdc.create_slot('$name')" ], '>', \$out, '2>', \$err);
	$standby->poll_query_until('postgres', "SELECT restart_lsn IS NOT NULL FROM pg_replication_slots WHERE slot_name = '$name'");
	sql('SELECT pg_log_standby_snapshot()');
	$psql->finish;
	is($out, "$name\n", "slot $name is made");
	return $err;
}
my $said = slot_there('s');
like($said, qr/NOTICE:  slot "s" is made as soon as the primary logs which transactions are running\nHINT:  On the primary: SELECT pg_log_standby_snapshot\(\);/, 'and says what it waits for');
sql(q{SELECT slot_name FROM cdc.advance_slot('s_primary', pg_current_wal_lsn())});

# --- the same stream --------------------------------------------------------------------

# What both slots have, as far as the primary is now.
sub both
{
	my (%options) = @_;
	my $end = end_of_wal($primary);

	# a walsender ends with what comes behind
	sql(q{SELECT pg_logical_emit_message(false, '', '', false), pg_switch_wal()}) if major() >= 17;
	sql(q{SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal()}) if major() < 17;
	replayed();
	return map { my $from = $_->[0]; join "\n", receive_json($from, $_->[1], upto => $end, outcomes => 1, options => \%options) } [ $primary, 's_primary' ], [ $standby, 's' ];
}
sql(q{INSERT INTO t VALUES (1, 'canary', 'a'); UPDATE t SET v = 'b' WHERE id = 1; BEGIN; INSERT INTO t SELECT g, 'canary', repeat('x', 100) FROM generate_series(2, 2000) g; DELETE FROM t WHERE id < 1000; COMMIT;
ALTER TABLE t ADD w int DEFAULT 7; INSERT INTO t VALUES (3000, 'canary', 'c', 8); TRUNCATE other; SELECT cdc.register('t')});
replayed();
like(there(q{SELECT string_agg(op || ' ' || key::text, ', ') FROM (SELECT * FROM cdc.peek('s') LIMIT 2) p}), qr/INSERT \{"id": 1\}, UPDATE \{"id": 1\}/, 'peek');
is(there(q{SELECT count(*) FROM cdc.peek('s') WHERE event::text ~ 'canary'}), '0', 'with the rules of redaction');
my ($here, $copy) = both();
like($here, qr/"op":"TRUNCATE"/, 'the stream of the primary');
is($copy, $here, 'is that of the standby');
unlike($copy, qr/canary/, 'without what is redacted');

# a rule counts from its transaction on
sql(q{BEGIN; SELECT cdc.redact('t', 'v', 'constant', 'hidden'); INSERT INTO t VALUES (4000, 'canary', 'canary'); COMMIT; INSERT INTO t VALUES (4001, NULL, 'canary')});
($here, $copy) = both();
is($copy, $here, 'a rule in the same transaction');
unlike($copy, qr/canary/, 'counts on the standby');

# --- fetch, and what is stored on the primary ---------------------------------------------

my $err;
sub as
{
	my ($node, $role, $statement) = @_;
	my (undef, $out, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement", extra_params => [ '-U', $role, '-At' ], on_error_stop => 0);
	return "$out\n$stderr";
}
my $fetch = q{SELECT count(data), string_agg(j->>'op', ',') FROM cdc.fetch('s', timeout => '30 s') f LEFT JOIN LATERAL cdc.decode_json(f.data) j ON j->>'op' <> 'COMMITTED'};
sql(q{INSERT INTO other VALUES (1); UPDATE t SET v = 'canary2' WHERE id = 4001});
replayed();
is(there($fetch), '2|INSERT,UPDATE', 'fetch');
like(as($standby, 'reader', $fetch), qr/42501: replication slot "s" is not bound to a role/, 'by a role that it is not bound to');
$primary->psql('postgres', q{SELECT cdc.alter_slot('s', '{tables,public.t,old,full}', 'reader')}, stderr => \$err);
like($err, qr/replication slot "s" does not exist/, 'the primary has no such slot');
$primary->psql('postgres', q{SELECT cdc.alter_slot('s_primary', '{old,full}', standby => true)}, stderr => \$err);
like($err, qr/replication slot "s_primary" is one of this server/, 'and the other one is its own');
$primary->psql('postgres', q{SELECT cdc.alter_slot('s', '{old,some}', standby => true)}, stderr => \$err);
like($err, qr/invalid value for cdc option "old": "some"/, 'options are looked at');
sql(q{SELECT cdc.alter_slot('s', '{tables,public.t,old,full}', 'reader', standby => true)});
# which nothing takes away that is done with others
sql(q{SELECT cdc.create_slot('x'); SELECT cdc.alter_slot('x', '{old,full}'); SELECT cdc.drop_slot('x')});
replayed();
is(there(q{SELECT options, reader FROM cdc.slots}), '{"old": "full", "tables": "public.t"}|reader', 'stored on the primary for the slot of the standby');
is(as($standby, 'reader', q{SET client_min_messages = error; } . $fetch =~ s/j->>'op', ','/(j->'old')::text, ','/r), qq{1|{"w":7}\n}, 'and counts there');
like(as($standby, 'stranger', $fetch), qr/42501: replication slot "s" is bound to another role.*reader/s, 'for its reader alone');
like(as($standby, 'reader', $fetch =~ s/'s',/'s', options => '{tables,public.other}',/r), qr/42501: cdc option "tables" can ?not be given/, 'which may not change it');
foreach my $node ($primary, $standby)
{
	like(as($node, 'reader', q{SELECT count(*) FROM cdc.snapshot('other')}), qr{the options do not select table "other"}, 'nor read another table as it is: ' . $node->name);
}
foreach (q{SELECT cdc.create_slot('s')}, q{SELECT cdc.copy_slot('s_primary', 's')}, q{SELECT pg_create_logical_replication_slot('s', 'cdc')})
{
	$primary->psql('postgres', $_, stderr => \$err);
	like($err, qr/ERROR:  options are stored for a slot "s" of a standby.*cdc\.drop_slot\('s'\)/s, "a slot of the primary does not take them over: $_");
}
$primary->command_fails_like([ 'pg_recvlogical', '-d', $primary->connstr('postgres'), '-S', 's', '--create-slot', '-P', 'cdc' ], qr/options are stored for a slot "s" of a standby/, 'by no way');

# --- what a standby cannot do --------------------------------------------------------------

foreach (
	[ 'cdc.redact()', q{SELECT cdc.redact('t', 'id', 'null')} ], [ 'cdc.redact_matching()', q{SELECT cdc.redact_matching('%x%', 'null')} ],
	[ 'cdc.unredact()', q{SELECT cdc.unredact(1)} ], [ 'cdc.confirm_rule()', q{SELECT cdc.confirm_rule(1)} ],
	[ 'cdc.rotate_redaction_secret()', q{SELECT cdc.rotate_redaction_secret()} ],
	[ 'cdc.grant_read()', q{SELECT cdc.grant_read('t', 'reader')} ], [ 'cdc.revoke_read()', q{SELECT cdc.revoke_read('t', 'reader')} ],
	[ 'cdc.bind_grants()', q{SELECT cdc.bind_grants()} ], [ 'cdc.prune_grants()', q{SELECT cdc.prune_grants()} ],
	[ 'cdc.register()', q{SELECT cdc.register('t')} ], [ 'cdc.unregister()', q{SELECT cdc.unregister('t')} ],
	[ 'cdc.register_reader()', q{SELECT cdc.register_reader('billing', 't', 1)} ], [ 'cdc.retire_version()', q{SELECT cdc.retire_version('t', 1)} ],
	[ 'cdc.set_enforcement()', q{SELECT cdc.set_enforcement('off')} ], [ 'cdc.allow_breaking()', q{SELECT cdc.allow_breaking('x')} ],
	[ 'cdc.refresh_registry()', q{SELECT cdc.refresh_registry()} ],
	[ 'cdc.set_metadata()', q{SELECT cdc.set_metadata('a', 'b')} ], [ 'cdc.set_traceparent()', q{SELECT cdc.set_traceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')} ],
	[ 'cdc.alter_slot()', q{SELECT cdc.alter_slot('s', '{old,full}')} ])
{
	my ($function, $statement) = @$_;
	$standby->psql('postgres', $statement, stderr => \$err);
	like($err, qr/ERROR:  cannot execute \Q$function\E during recovery\nHINT:  Run it on the primary/, "$function says that it is for the primary");
}
foreach (q{SELECT cdc.create_slot('more', options => '{old,full}')}, q{SELECT cdc.create_slot('more', reader => 'reader')}, q{SELECT cdc.copy_slot('s', 'more')})
{
	$standby->psql('postgres', $_, stderr => \$err);
	like($err, qr/ERROR:  options and the reader of a slot cannot be stored during recovery\nHINT:  Store them on the primary by cdc\.alter_slot\('more', \.\.\., standby => true\)/, "so does $_");
}
is(there('SELECT count(*) FROM pg_replication_slots'), '1', 'no slot is left of that');
is(there('SELECT count(*) > 0 FROM cdc.schema_versions') . there('SELECT count(*) > 0 FROM cdc.redaction_rules') . there(q{SELECT count(*) >= 0 FROM cdc.security_report()}) . there(q{SELECT count(*) >= 0 FROM cdc.redaction_report()}), 'tttt', 'what only reads works');
# what is read only is so on a primary, too
foreach (q{SELECT cdc.redact('t', 'w', 'null')}, q{SELECT cdc.register('other')})
{
	$primary->psql('postgres', "BEGIN READ ONLY; $_; COMMIT", stderr => \$err);
	like($err, qr/cannot execute cdc\.\w+\(\) in a read-only transaction/, 'a transaction that is read only');
}

# --- rows as they are -----------------------------------------------------------------------

# One transaction is in progress while a later one has ended: the first one's changes are
# still to come, for whoever joins rows and stream.
my $open = $primary->background_psql('postgres');
$open->query_safe(q{BEGIN; INSERT INTO t VALUES (5000, 'canary', 'canary')});
my $xid = $open->query_safe('SELECT pg_current_xact_id()');
chomp $xid;
sql(q{INSERT INTO t VALUES (5001, 'canary', 'canary')});
replayed();
my $read = q{SELECT count(*) || ' ' || md5(string_agg(j::text, '' ORDER BY j::text)) FROM cdc.decode_json((SELECT string_agg(b, '') FROM cdc.snapshot('t') b)) j};
is(there($read), sql($read), 'a snapshot on the standby has the rows of the primary');
my ($batch) = batches(pack('H*', there(q{SELECT encode(b || '\x0a', 'hex') FROM cdc.snapshot('t') b LIMIT 1})));
my ($snapshot) = map { $_->[1] } grep { $_->[0] == 13 } fields($batch);
my %snapshot = map { $_->[0] => $_->[1] } fields($snapshot);
my @running;
{
	my ($n, $shift) = (0, 0);
	foreach (unpack 'C*', $snapshot{3} // '')
	{
		$n |= ($_ & 0x7f) << $shift;
		$shift += 7;
		next if $_ & 0x80;
		push @running, $n;
		($n, $shift) = (0, 0);
	}
}
is("@running", $xid, 'and says which transactions it has not seen');
cmp_ok($snapshot{2}, '>', $xid, 'of those that began before its end');
$open->query_safe('COMMIT');
$open->quit;
like(as($standby, 'reader', $read), qr/^\d+ \w{32}$/m, 'for the reader of the slot, too');
unlike(as($standby, 'reader', q{SELECT encode(b, 'escape') FROM cdc.snapshot('t') b}), qr/canary/, 'without what is redacted');

# --- after a promotion ----------------------------------------------------------------------

replayed();
$primary->stop;
$standby->promote;
there(q{INSERT INTO t VALUES (6000, 'canary', 'canary'); SELECT cdc.redact('t', 'w', 'null'); INSERT INTO t VALUES (6001, 'canary', 'canary', 9)});
my @lines = receive_json($standby, 's');
is(join(',', map { /"key":\{"id":(\d+)\}/ } grep { /"id":(5|6)0/ } @lines), '5001,5000,6000,6001', 'the slot goes on');
is(scalar(grep { /canary/ || /"relation":"public.other"/ } @lines), 0, 'with its rules and options');
there(q{SELECT cdc.alter_slot('s', '{old,NULL}')});
is(there(q{SELECT options, reader FROM cdc.slots}), '{"tables": "public.t"}|reader', 'which can be changed here now');
there(q{SELECT cdc.drop_slot('s')});
is(there('SELECT count(*) FROM cdc.slot_option'), '0', 'and go with it');
done_testing();
