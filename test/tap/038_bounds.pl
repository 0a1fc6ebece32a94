# What one event, and the schema of one table, may take; and errors that are nobody's value's.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "shared_buffers = 1MB\nlogical_decoding_work_mem = 64MB\n");

sub sql { return $node->safe_psql('postgres', @_) }

# Large defaults, of which every schema has some: batches are cut by their events.
sql(q{CREATE TABLE defaults (id int PRIMARY KEY, v text);
	DO $$ BEGIN FOR i IN 1 .. 40 LOOP
		EXECUTE format('ALTER TABLE defaults ADD c%s text DEFAULT repeat(''x'', 20000)', i);
		EXECUTE format('ALTER TABLE defaults ALTER c%s DROP DEFAULT', i);
	END LOOP; END $$});
slot($node, 'defaults');
sql(q{INSERT INTO defaults SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 1000) g});
foreach my $schemas ('once', 'batch')
{
	my ($n, $max) = split /\|/, sql(qq{SELECT count(*), max(length(data)) FROM pg_logical_slot_peek_binary_changes('defaults', NULL, NULL, 'schemas', '$schemas')});

	cmp_ok($n, '<', 20, "schemas=$schemas: $n batches of a thousand rows");
	cmp_ok($max, '<', 160_000, "none larger than its events and the values of older rows, $max bytes");
}
is(sql(q{SELECT count(c->>'missing') || ' ' || count(c->>'missing_unavailable') FROM jsonb_array_elements(cdc.table_schema('defaults')->'columns') c}),
	'3 37', 'values of older rows up to 64 kB, the others are said to be unavailable');
is(sql(q{SELECT count(*) < 12 FROM cdc.snapshot('defaults', options => '{schemas,batch,batch_bytes,128kB}')}), 't', 'the same in a snapshot');

# Many tables with few events, in one transaction
slot($node, 'tables');
sql(q{DO $$ BEGIN FOR i IN 1 .. 150 LOOP
	EXECUTE format('CREATE TABLE many%s (id int PRIMARY KEY, x text DEFAULT repeat(''x'', 60000))', i);
	EXECUTE format('ALTER TABLE many%s ADD y text DEFAULT repeat(''y'', 60000)', i);
	EXECUTE format('INSERT INTO many%s VALUES (1, '''', '''')', i);
END LOOP; END $$});
is(sql(q{SELECT max(length(data)) < 5000000 AND count(*) > 1 FROM pg_logical_slot_peek_binary_changes('tables', NULL, NULL)}), 't', 'schemas alone cut a batch, too');

# The setting, and what becomes of a row beyond it
is(sql(q{LOAD 'cdc'; SHOW cdc.max_event_size}), '256MB', 'the default');
sql(q{CREATE TABLE large (id int PRIMARY KEY, v text, c text, j jsonb, n numeric[], b bytea[]); ALTER TABLE large ALTER v SET STORAGE EXTERNAL});
slot($node, 'large');
sql(q{
INSERT INTO large (id, v) VALUES (1, repeat('x', 2000000));
INSERT INTO large (id, c) VALUES (2, repeat('x', 2000000));
INSERT INTO large (id, j) VALUES (3, to_jsonb(repeat('x', 2000000)));
INSERT INTO large (id, n) SELECT 4, array_agg(1e131071::numeric) FROM generate_series(1, 16);
INSERT INTO large (id, b) SELECT 5, array_agg(repeat('x', 100000)::bytea) FROM generate_series(1, 20);
INSERT INTO large (id, v) VALUES (6, repeat('x', 900000));
});
is(sql(q{SET cdc.max_event_size = '1MB'; SELECT string_agg((key->>'id') || coalesce(event->'failure'->>'sqlstate' || (event->'failure'->>'message'), ''), ',') FROM cdc.peek('large')}),
	join(',', map({ "${_}54000row is too large for one event" } 1 .. 5), 6), 'a row beyond it is a failure');
is(sql(q{SET cdc.max_event_size = '1MB'; SELECT string_agg((key->>'id') || coalesce(event->'failure'->>'sqlstate', ''), ',') FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('large') b))}),
	join(',', map({ "${_}54000" } 1 .. 5), 6), 'in a snapshot, too');
is(sql(q{SELECT count(*) || ' ' || count(event->'failure') FROM cdc.peek('large')}), '6 0', 'all come with the default');
my ($ret, $out, $err) = $node->psql('postgres', q{SET cdc.max_event_size = '1MB'; SELECT count(*) FROM cdc.peek('large', options => '{on_error,stop}')});
like($err, qr/row is too large for one event/, 'on_error = stop');
($ret, $out, $err) = $node->psql('postgres', q{LOAD 'cdc'; SET cdc.max_event_size = '2GB'});
like($err, qr/outside the valid range/, 'not beyond what a message may take');
sql('CREATE ROLE ordinary');
($ret, $out, $err) = $node->psql('postgres', q{LOAD 'cdc'; SET ROLE ordinary; SET cdc.max_event_size = '1MB'});
like($err, qr/permission denied/, 'it is for superusers to set');
# with a rule nothing of the value is said
sql(q{SELECT cdc.redact('large', 'c', 'mask')});
is(sql(q{SET cdc.max_event_size = '1MB'; SELECT event->'failure'->>'message' FROM cdc.peek('large') WHERE key->>'id' = '2'}), 'row is too large for one event', 'under a rule');

# Memory of one large row, in a backend of its own: VmHWM, in MB.
SKIP:
{
	skip 'needs /proc/self/status', 3 if !-r '/proc/self/status';
	my $mb = 64;
	my $hwm = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+) kB')::int / 1024};
	sql(qq{CREATE TABLE memory (id int PRIMARY KEY, v text); ALTER TABLE memory ALTER v SET STORAGE EXTERNAL});
	slot($node, 'memory');
	sql(qq{SELECT pg_create_logical_replication_slot('core', 'pgoutput'); CREATE PUBLICATION nothing});
	sql(qq{INSERT INTO memory VALUES (1, repeat('x', $mb * 1024 * 1024))});
	my $peak = sub {
		my @lines = split /\n/, sql("$hwm; $_[0]; $hwm");
		return $lines[-1] - $lines[0];
	};
	my $core = $peak->(q{SELECT count(*) FROM pg_logical_slot_peek_binary_changes('core', NULL, NULL, 'proto_version', '1', 'publication_names', 'nothing')});
	my $snapshot = $peak->(q{COPY (SELECT cdc.snapshot('memory')) TO '/dev/null' (FORMAT binary)});
	my $fetch = $peak->(q{COPY (SELECT data FROM cdc.fetch('memory')) TO '/dev/null' (FORMAT binary)});
	note("a row of $mb MB: core's decoding $core MB, cdc.fetch() $fetch MB, cdc.snapshot() $snapshot MB");
	cmp_ok($snapshot, '<', 3.3 * $mb, "a row of $mb MB takes $snapshot MB in a snapshot");
	# core has the row's parts and the row then, and copies it to send it
	# 18 has one buffer of the row more
	my $more = sql(q{SELECT current_setting('server_version_num')::int >= 180000}) eq 't' ? $mb : 0;
	cmp_ok($fetch, '<', 3.4 * $mb + $more, "and $fetch MB in cdc.fetch()");
	cmp_ok($fetch - $core, '<', 1.3 * $mb + $more, "which is " . ($fetch - $core) . " MB beside the $core MB of core's own decoding");
}

# What is the server's fault comes again, and is no failure: here a file is gone.
my $file = sql(q{CREATE TABLE gone (id int PRIMARY KEY, v text); ALTER TABLE gone ALTER v SET STORAGE EXTERNAL;
	INSERT INTO gone VALUES (1, repeat('x', 100000)); CHECKPOINT;
	SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'gone'});
$node->stop;
rename $node->data_dir . "/$file", $node->data_dir . "/$file.away" or die $!;
$node->start;
($ret, $out, $err) = $node->psql('postgres', q{\set VERBOSITY sqlstate
SELECT count(*) FROM cdc.snapshot('gone')});
like($err, qr/ERROR:  58P01/, 'a file that is gone is an ERROR');
$node->stop;
rename $node->data_dir . "/$file.away", $node->data_dir . "/$file" or die $!;
$node->start;
is(sql(q{SELECT count(event->'failure') || ' ' || count(*) FROM cdc.decode((SELECT string_agg(b, '') FROM cdc.snapshot('gone') b))}), '0 1', 'and when it is back, the row comes');

$node->stop;
done_testing();
