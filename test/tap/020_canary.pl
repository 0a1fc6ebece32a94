# What must not leave: values that are found nowhere else stand in columns of many
# types under rules of every method, and go through everything that sends. Then
# none of them is in any output or log; and the same search finds them in what is
# sent without rules.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "max_prepared_transactions = 10\nlogical_decoding_work_mem = 64kB\nlog_min_messages = debug1\nlog_error_verbosity = verbose\n");

sub sql { return $node->safe_psql('postgres', @_) }

# column => [type, values: none of them a part of what else is sent]
my @columns = (
	[ t => 'text', "'canary-text-one'", "'canary-text-two'" ],
	[ vc => 'varchar(40)', "'canary-varchar-one'", "'canary-varchar-two'" ],
	[ c => 'char(24)', "'canary-char-one'", "'canary-char-two'" ],
	[ b => 'bytea', q{'\xc0ffee0011c0ffee'}, q{'\xdeadbeef99deadbeef'} ],
	[ i => 'int8', '1234567890123456789', '8765432109876543210' ],
	[ n => 'numeric', '98765.43210987654321', '-31415.92653589793' ],
	[ f => 'float8', '2.718281828459045', '-1.4142135623730951' ],
	[ u => 'uuid', "'c0ffee00-1111-4222-8333-c0ffee004444'", "'deadbeef-1111-4222-8333-deadbeef4444'" ],
	[ ts => 'timestamptz', "'1987-06-05 04:03:02.123456+00'", "'2071-08-09 10:11:12.654321+00'" ],
	[ tm => 'time', "'13:37:42.424242'", "'04:20:11.313131'" ],
	[ j => 'json', q('{"canary-json": "one"}'), q('{"canary-json": "two"}') ],
	[ jb => 'jsonb', q('{"canary-jsonb": ["one", 1234554321]}'), q('{"canary-jsonb": "two"}') ],
	[ a => 'text[]', q('{canary-array-one,"x y"}'), q('{canary-array-two}') ],
	[ ia => 'int8[]', q('{4444555566667777,2}'), q('{-7777666655554444}') ],
	[ ip => 'inet', "'203.0.113.177'", "'2001:db8::c0ff:ee'" ],
	[ p => 'pair', "ROW('canary-composite-one', 1)", "ROW('canary-composite-two', 2)" ],
	[ m => "mood", "'canary-label-one'", "'canary-label-two'" ],
	[ r => 'int8range', "'[1122334455,5544332211)'", "'[6677889900,9900887766)'" ],
	[ big => 'text', "(SELECT string_agg('canary-big-one-' || md5(g::text), '') FROM generate_series(1, 300) g)",
		"repeat('canary-big-two-', 10000)" ]);
my @methods = (
	[ 'drop' ], [ 'null' ], [ 'constant', value => "'nothing to see'" ], [ 'mask' ], [ 'mask', length => 3 ],
	[ 'hash' ], [ 'partial', prefix => 1, suffix => 1 ], [ 'email' ], [ 'truncate', length => 2 ]);

my $definition = join ', ', 'id int PRIMARY KEY', map { "$_->[0] $_->[1]" } @columns;
sub row { my ($n, $id) = @_; return join ', ', $id, map { $_->[ $n + 1 ] } @columns }

sql("CREATE TYPE pair AS (t text, i int); CREATE TYPE mood AS ENUM ('canary-label-one', 'canary-label-two')");
sql("CREATE TABLE plain ($definition); ALTER TABLE plain REPLICA IDENTITY FULL");
my @tables;
foreach my $method (@methods)
{
	my ($name, %parameters) = @$method;
	foreach my $identity (qw(full default))
	{
		my $table = join '_', 'r', $name, (values %parameters ? 'p' . @tables : ()), $identity;
		push @tables, $table;
		sql("CREATE TABLE $table ($definition); ALTER TABLE $table REPLICA IDENTITY $identity");
		sql(join ';', map {
			my $column = $_->[0];
			"SELECT cdc.redact('$table', '$column', '$name'" . join('', map { ", $_ => $parameters{$_}" } sort keys %parameters) . ')';
		} @columns);
	}
}
# a partitioned table, sent under its root, with a partition of another order
sql("CREATE TABLE root ($definition) PARTITION BY RANGE (id); CREATE TABLE leaf (x int, "
	  . join(', ', reverse map { "$_->[0] $_->[1]" } @columns) . ', id int NOT NULL); ALTER TABLE leaf DROP COLUMN x');
sql(join ';', map { "SELECT cdc.redact('root', '$_->[0]', 'mask', length => 4)" } @columns);
sql('ALTER TABLE root ATTACH PARTITION leaf FOR VALUES FROM (0) TO (1000); CREATE PUBLICATION viaroot FOR TABLE root WITH (publish_via_partition_root = true)');
push @tables, 'root';

# rules for parts of JSON, by methods that keep nothing of what is there; the values
# have them in arrays, under names with escapes, twice, and where no path expects them
my @paths = ([ '$.contact.mail', 'hash' ], [ '$.phones[*].number', 'mask', length => 2 ], [ '$."q\"\u00e4".*', 'constant', value => "'\"'" ],
	[ '$.list[*][*]', 'null' ], [ '$.gone', 'drop' ], [ '$.twice', 'truncate', length => 2 ]);
my @documents = (
	'{"contact": {"mail": "canary-path-one", "m\u0061il": "canary-path-two"}, "open": 1, "gone": {"x": ["canary-path-three"]}}',
	'[{"phones": [{"number": "canary-path-four"}, {"number": null, "n\u0075mber": 10203040506070}]}, {"\u0063ontact": [{"mail": "canary\u002dpath\u002dfive"}]}]',
	'{"q\"ä": {"x": "canary-path-six", "y": ["canary-path-seven"]}, "\u0071\u0022\u00E4": [{"z": "canary-path-eight"}], "list": [["canary-path-nine"], "canary-path-ten"]}',
	'{"twice": "canary-path-eleven", "twice": "canary-path-twelve", "tw\u0069ce": "canary-path-thirteen"}',
	# withheld
	'{"contact": "canary-path-fourteen"}', '"canary-path-fifteen"', '{"contact": {"mail": {"x": "canary-path-sixteen"}}}', '{"phones": {"number": ["canary-path-seventeen"]}}');
my @unpaired = ('{"contact": {"mail": "canary-path-eighteen\u0000"}}', '{"contact": {"m\ud800": 1, "mail": "canary-path-nineteen"}}');
my @path_tables = ('plain_paths', 'paths_full', 'paths_default');
foreach my $table (@path_tables)
{
	sql("CREATE TABLE $table (id int PRIMARY KEY, j json, jb jsonb); ALTER TABLE $table REPLICA IDENTITY " . ($table =~ /default/ ? 'DEFAULT' : 'FULL'));
	next if $table =~ /^plain/;
	foreach (@paths)
	{
		my ($path, $method, %parameters) = @$_;
		my $rest = join '', map { ", $_ => $parameters{$_}" } sort keys %parameters;
		sql("SELECT cdc.redact('$table', '$_', '$method', path => '$path'$rest)") for qw(j jb);
	}
}

sql("SELECT cdc.create_slot('$_', two_phase => true)") for qw(canary twin);
my $work = sub {
	my ($table) = @_;
	my @names = map { $_->[0] } @columns;
	my @set = map { "$_->[0] = $_->[3]" } @columns;
	sql("INSERT INTO $table (id, " . join(', ', @names) . ') VALUES (' . row(1, 1) . '), (' . row(2, 2) . '), (' . row(1, 3) . ')');
	sql("UPDATE $table SET " . join(', ', @set) . ' WHERE id = 1');
	sql("UPDATE $table SET t = t WHERE id = 2");
	sql("UPDATE $table SET id = 10 WHERE id = 3");
	sql("UPDATE $table SET " . join(', ', map { "$_ = NULL" } @names) . ' WHERE id = 10');
	sql("DELETE FROM $table WHERE id = 2");
	# prepared, streamed, rolled back
	sql("BEGIN; INSERT INTO $table VALUES (" . row(1, 20) . "); PREPARE TRANSACTION 'p_$table'") if $table ne 'root';
	sql("COMMIT PREPARED 'p_$table'") if $table ne 'root';
};
$work->($_) for 'plain', @tables;
foreach my $table (@path_tables)
{
	my $id = 0;
	foreach my $document (@documents, @unpaired)
	{
		my $jb = (grep { $_ eq $document } @unpaired) ? 'NULL' : "\$\$$document\$\$";
		$id++;
		sql("INSERT INTO $table VALUES ($id, \$\$$document\$\$, $jb)");
		sql("UPDATE $table SET j = '{}', jb = '{}' WHERE id = $id; UPDATE $table SET j = \$\$$document\$\$, jb = $jb WHERE id = $id");
		sql("BEGIN; UPDATE $table SET id = $id + 100 WHERE id = $id; PREPARE TRANSACTION 'p_$table'");
		sql("COMMIT PREPARED 'p_$table'; DELETE FROM $table WHERE id = $id + 100") if $id % 2;
		sql("COMMIT PREPARED 'p_$table'") unless $id % 2;
	}
	sql("ALTER TABLE $table ADD late jsonb DEFAULT '{\"x\": [\"canary-path-twenty\"]}'");
	sql("SELECT cdc.redact('$table', 'late', 'mask', path => '\$.x[*]')") unless $table =~ /^plain/;
	sql("INSERT INTO $table (id) VALUES (30); ALTER TABLE $table ALTER jb TYPE text; UPDATE $table SET jb = 'canary-path-no-json' WHERE id = 30");
}
# DDL: rewrites, defaults of older rows, a column of the same name, renames, a copy
# that takes the table's place
foreach my $table ('r_mask_full', 'r_partial_p13_full', 'plain')
{
	next unless sql("SELECT to_regclass('$table') IS NOT NULL") eq 't';
	sql("ALTER TABLE $table ADD late text DEFAULT 'canary-default-value'");
	sql("SELECT cdc.redact('$table', 'late', 'mask')") if $table ne 'plain';
	sql("INSERT INTO $table (id) VALUES (30); ALTER TABLE $table ALTER n TYPE text; INSERT INTO $table (id, t) VALUES (31, 'canary-after-rewrite')");
	sql("ALTER TABLE $table RENAME t TO tt; UPDATE $table SET tt = 'canary-renamed' WHERE id = 31");
	sql("ALTER TABLE $table DROP COLUMN vc; ALTER TABLE $table ADD vc varchar(40) DEFAULT 'canary-added-again'; UPDATE $table SET vc = 'canary-again' WHERE id = 31");
	sql("CREATE TABLE swap (LIKE $table INCLUDING ALL); INSERT INTO swap SELECT * FROM $table WHERE false");
	sql("BEGIN; ALTER TABLE $table RENAME TO ${table}_old; ALTER TABLE swap RENAME TO $table; COMMIT");
	sql("INSERT INTO $table (id, vc, b) VALUES (40, 'canary-swapped', '\\xc0ffee0011c0ffee'); UPDATE ${table}_old SET vc = 'canary-old' WHERE id = 31");
}
# a value that cannot be written, with its text in the error
sql(q{CREATE TABLE failing (id int PRIMARY KEY, v text, w text); ALTER TABLE failing REPLICA IDENTITY FULL;
SELECT cdc.redact('failing', 'v', 'hash');
CREATE PUBLICATION failing FOR TABLE failing WHERE (date_part(v, interval '1 day') > 0);
INSERT INTO failing VALUES (1, 'canary-failing', 'not redacted')});

# --- everything that sends -------------------------------------------------

my %outputs;
foreach my $options ({}, { old => 'full' }, { format => 'json' }, { 'streaming' => 'on', two_phase => 'on' }, { publication_names => 'viaroot' },
	{ publication_names => 'failing' }, { batch_bytes => '100' })
{
	my $name = join ',', map { "$_=$options->{$_}" } sort keys %$options;
	my $slot = 'copy_' . keys %outputs;
	sql("SELECT cdc.copy_slot('canary', '$slot')");
	$outputs{"stream with '$name'"} = receive($node, $slot, options => $options);
	sql("SELECT cdc.drop_slot('$slot')");
}
my @cdc_tables = grep { sql("SELECT to_regclass('$_') IS NOT NULL") eq 't' } @tables, 'r_mask_full_old', 'paths_full', 'paths_default';
$outputs{'cdc.peek()'} = sql("SELECT p FROM cdc.peek('canary') p WHERE relation ~ '^public.(r_|root|leaf|failing|paths)'");
$outputs{"schemas"} = join "\n", map { sql("SELECT cdc.table_schema('$_'), cdc.proto('$_')") } @cdc_tables;
$outputs{"cdc.snapshot()"} = join '', map { pack 'H*', sql("SELECT string_agg(encode(b, 'hex'), '') FROM cdc.snapshot('$_') b") }
  grep { $_ ne 'root' } @cdc_tables;
$outputs{"cdc.snapshot() of the root"} = pack 'H*', sql("SELECT string_agg(encode(b, 'hex'), '') FROM cdc.snapshot('root', options => '{publication_names,viaroot}') b");

# What is sent of the table without rules is what must not be found. In the other
# streams its events are left out.
sub without_plain
{
	my ($bytes) = @_;
	return join "\n", grep { !/"relation":"public\.(plain|swap)/ } split /\n/, $bytes if $bytes =~ /^\{/;
	my (%plain, $kept);
	foreach my $batch (batches($bytes))
	{
		foreach (grep { $_->[0] == 6 } fields($batch))
		{
			my %schema = map { $_->[0] => $_->[1] } fields($_->[1]);
			my %table = map { $_->[0] => $_->[1] } reverse fields($schema{2});
			$plain{ $schema{1} } = $table{2} =~ /^(plain|swap)/;
			$kept .= $_->[2] unless $plain{ $schema{1} };
		}
		foreach (grep { $_->[0] == 7 } fields($batch))
		{
			my %event = map { $_->[0] => $_->[1] } fields($_->[1]);
			$kept .= $_->[2] unless $event{4} && $plain{ $event{4} };
		}
		$kept .= join '', map { $_->[2] } grep { $_->[0] != 6 && $_->[0] != 7 } fields($batch);
	}
	return $kept;
}

# --- the values, as bytes and as text ---------------------------------------

my %canaries;
my %schemas;
foreach my $batch (batches(receive($node, 'twin', options => { tables => 'public.plain,public.plain_old' })))
{
	foreach my $event (map { $_->[1] } grep { $_->[0] == 7 } fields($batch))
	{
		foreach my $row (map { $_->[1] } grep { $_->[0] == 6 || $_->[0] == 7 } fields($event))
		{
			foreach (fields($row))
			{
				my $value = $_->[2] =~ s/^.[\x80-\xff]?//sr;	# without its tag
				$canaries{$value} = "column $_->[0] on the wire" if length $value >= 6;
				$canaries{ $_->[1] } = "column $_->[0], its value" if $_->[2] =~ /^.?[\x02\x0a\x12\x1a\x22\x2a\x32\x3a\x42\x4a\x52\x5a\x62\x6a\x72\x7a]/s && length $_->[1] >= 6;
			}
		}
	}
}
foreach my $n (1, 2)
{
	my @text = split /\n/, sql('SELECT unnest(ARRAY[' . join(', ', map { '(' . $_->[ $n + 1 ] . ")::$_->[1]::text" } @columns) . '])');
	$canaries{$_} = 'text' for grep { length >= 6 } map { s/^\\x//r } @text;
}
$canaries{$_} = 'text' for qw(canary-text canary-varchar canary-char canary-json canary-jsonb canary-array canary-composite canary-label
  canary-big canary-default canary-after-rewrite canary-renamed canary-again canary-added-again canary-swapped canary-old canary-failing
  canary-path canary\\u002dpath 10203040506070);
cmp_ok(scalar keys %canaries, '>', 60, 'values to look for: ' . keys %canaries);

sub found
{
	my ($bytes) = @_;
	return join ', ', sort map { "$canaries{$_}: " . substr(unpack('H*', $_), 0, 60) } grep { index($bytes, $_) >= 0 } keys %canaries;
}

my $everything = receive($node, do { sql("SELECT cdc.copy_slot('canary', 'again')"); 'again' });
isnt(found($everything), '', 'the search finds them where nothing is left out');
my @words = map { 'canary-path-' . $_ } qw(one two three four six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty no-json);
is(join(' ', grep { index($everything, $_) < 0 } @words, 'canary\\u002dpath', '10203040506070'), '', 'so are those inside of JSON');
foreach my $name (sort keys %outputs)
{
	my $bytes = $name =~ /^stream/ ? without_plain($outputs{$name}) : $outputs{$name};
	cmp_ok(length $bytes, '>', $name =~ /failing/ ? 50 : 500, "$name: there is something to search");
	is(found($bytes), '', "$name: nothing is found");
}
my $log = slurp_file($node->logfile);
is(join(' ', grep { /canary-/ && !/STATEMENT|QUERY|LOG:  (statement|execute)|DETAIL:  Failing row/ } split /\n/, $log), '', 'the log has none');
like($outputs{"stream with 'publication_names=failing'"}, qr/value cannot be written/, 'a failure says no more than that');

# --- the test can fail -------------------------------------------------------

sql("SELECT cdc.create_slot('leak')");
sql("SELECT cdc.unredact(id) FROM cdc.redaction_rules WHERE relation = 'r_hash_full'::regclass AND column_name = 'b'");
sql('INSERT INTO r_hash_full VALUES (' . row(1, 77) . ')');
like(found(receive($node, 'leak')), qr/c0ffee0011c0ffee/, 'without one rule it is found');

sql("SELECT cdc.create_slot('leak_path')");
sql('SELECT cdc.unredact(id) FROM cdc.redaction_rules WHERE relation = \'paths_full\'::regclass AND column_name = \'j\' AND path = \'$.phones[*].number\'');
sql("INSERT INTO paths_full (id, j) VALUES (900, \$\$$documents[1]\$\$)");
my $leak = found(receive($node, 'leak_path'));
like($leak, qr/@{[unpack 'H*', 'canary-path']}/, 'without one rule for a path it is found');
is_up($node, 'the server lives');
$node->stop;
done_testing();
