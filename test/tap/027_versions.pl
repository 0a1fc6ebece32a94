# Rows in an older major version of their schema, for readers that were not changed yet:
# through the walsender, with the DDL in the backlog.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');

sub sql { return $node->safe_psql('postgres', @_) }

# table, version and reason of each schema that a stream announces
sub announced
{
	my @found;
	foreach my $field (grep { $_->[0] == 6 } map { fields($_) } batches($_[0]))
	{
		my %schema = map { $_->[0] => $_->[1] } fields($field->[1]);
		my %table = map { $_->[0] => $_->[1] } fields($schema{2});
		push @found, join ' ', "$table{2} of", $schema{3} // 0, $schema{4} // ();
	}
	return @found;
}

# lines without what differs from run to run
sub rows { return map { s/^\{"position":"[^"]*","xid":\d+,"commit_time":"[^"]*",//r =~ s/"fingerprint":"[0-9a-f]*"(,|(?=\}))//r =~ s/,\}$/}/r } @_ }

sub refused
{
	my ($slot, $versions, $message, $name) = @_;
	$node->command_checks_all([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', $slot, '--start', '--no-loop', '-f', '-', '-o', "versions=$versions" ],
		1, [qr/^$/], [$message], $name);
}

sql(q{CREATE TABLE orders (id int PRIMARY KEY, name text NOT NULL, qty int, tag varchar(5)); ALTER TABLE orders REPLICA IDENTITY FULL;
CREATE TABLE other (id int PRIMARY KEY); SELECT cdc.register('orders'); SELECT cdc.register('other')});
slot($node, $_) for qw(plain older redacted again);
sql(q{SET client_min_messages = error;
INSERT INTO orders VALUES (1, 'a', 1, 'x');
ALTER TABLE orders ADD extra int DEFAULT 7});
my $proto = sql(q{SELECT cdc.proto('orders')});
sql(q{SET client_min_messages = error;
INSERT INTO orders VALUES (2, 'b', 2, 'y');
ALTER TABLE orders RENAME name TO title;
INSERT INTO orders VALUES (3, 'c', 3, 'z'); UPDATE orders SET title = 'cc' WHERE id = 3;
ALTER TABLE orders DROP tag;
INSERT INTO orders VALUES (4, 'd', NULL, 8);
ALTER TABLE orders ADD late text DEFAULT 'late';
UPDATE orders SET late = 'later' WHERE id = 4; UPDATE orders SET late = NULL, extra = 9 WHERE id = 4;
ALTER TABLE orders ALTER qty TYPE bigint;
INSERT INTO orders VALUES (5, 'e', 2147483647), (6, 'f', 2147483648); UPDATE orders SET qty = -2147483649 WHERE id = 5;
UPDATE orders SET qty = -2147483648 WHERE id = 5;
CREATE SCHEMA shop; ALTER TABLE orders SET SCHEMA shop; ALTER TABLE shop.orders RENAME TO purchases;
INSERT INTO shop.purchases VALUES (7, 'g', 7); DELETE FROM shop.purchases WHERE id = 1; INSERT INTO other VALUES (1);
TRUNCATE shop.purchases;
ALTER TABLE shop.purchases ALTER title DROP NOT NULL;
INSERT INTO shop.purchases VALUES (8, NULL, 8);
DELETE FROM shop.purchases; ALTER TABLE shop.purchases ALTER title SET NOT NULL;
INSERT INTO shop.purchases VALUES (9, 'i', 9);
ALTER TABLE shop.purchases DROP CONSTRAINT orders_pkey; ALTER TABLE shop.purchases ADD PRIMARY KEY (id, late);
INSERT INTO shop.purchases VALUES (10, 'j', 10);
ALTER TABLE shop.purchases DROP title; INSERT INTO shop.purchases VALUES (11, 11)});

# by the name of then, and by the name of now
my $bytes = receive($node, 'older', options => { versions => 'public.orders=1', rewrites => 'off' });
my @older = rows(decode($node, $bytes));
@older = grep { !/"op":"COMMITTED"/ } @older;
is_deeply(\@older, [
	'"op":"INSERT","relation":"public.orders","key":{"id":1},"new":{"name":"a","qty":1,"tag":"x"}}',
	'"op":"INSERT","relation":"public.orders","key":{"id":2},"new":{"name":"b","qty":2,"tag":"y","extra":7}}',
	'"op":"INSERT","relation":"public.orders","key":{"id":3},"new":{"name":"c","qty":3,"tag":"z","extra":7}}',
	'"op":"UPDATE","relation":"public.orders","key":{"id":3},"old":{"name":"c"},"new":{"name":"cc"}}',
	'"op":"INSERT","relation":"public.orders","key":{"id":4},"new":{"name":"d","extra":8}}',
	'"op":"UPDATE","relation":"public.orders","key":{"id":4}}',
	'"op":"UPDATE","relation":"public.orders","key":{"id":4},"old":{"extra":8},"new":{"extra":9}}',
	'"op":"INSERT","relation":"public.orders","key":{"id":5},"new":{"name":"e","qty":2147483647,"extra":7}}',
	'"op":"INSERT","relation":"public.orders","key":{"id":6},"failure":{"sqlstate":"22003","message":"value does not fit the narrower type of the version that is asked for","column":3}}',
	'"op":"UPDATE","relation":"public.orders","key":{"id":5},"failure":{"sqlstate":"22003","message":"value does not fit the narrower type of the version that is asked for","column":3}}',
	'"op":"UPDATE","relation":"public.orders","key":{"id":5},"failure":{"sqlstate":"22003","message":"value does not fit the narrower type of the version that is asked for","column":3}}',
	'"op":"INSERT","relation":"public.orders","key":{"id":7},"new":{"name":"g","qty":7,"extra":7}}',
	'"op":"DELETE","relation":"public.orders","key":{"id":1},"old":{"name":"a","qty":1,"extra":7}}',
	'"op":"INSERT","relation":"public.other","key":{"id":1}}',
	'"op":"TRUNCATE","relation":"public.orders"}',
	'"op":"INSERT","relation":"shop.purchases","key":{"id":8},"new":{"qty":8,"extra":7,"late":"late"}}',
	'"op":"DELETE","relation":"shop.purchases","key":{"id":8},"old":{"qty":8,"extra":7,"late":"late"}}',
	'"op":"INSERT","relation":"public.orders","key":{"id":9},"new":{"name":"i","qty":9,"extra":7}}',
	'"op":"INSERT","relation":"shop.purchases","key":{"id":10,"late":"late"},"new":{"title":"j","qty":10,"extra":7}}',
	'"op":"INSERT","relation":"shop.purchases","key":{"id":11,"late":"late"},"new":{"qty":11,"extra":7}}' ],
	'rows in version 1, where they can be');
# The versions that it is told of, and why a row is not in the one that was asked for.
# The third one is without the default of a column, which a rewrite has put into the rows.
is_deeply([ announced($bytes) ], [ ('orders of 1') x 3, 'other of 1',
	'purchases of 7 column name can be NULL', 'orders of 1', 'purchases of 9 column late, which is not in that version, is part of the key',
	'purchases of 10 column name, which cannot be NULL, is not there' ], 'versions and reasons') or diag explain [ announced($bytes) ];
is(scalar(() = slurp_file($node->logfile) =~ /rows of table "\w+" cannot be sent in version 1/g), 1, 'with one warning');

# without the option nothing of this happens, with it nothing else does
my %plain = map { $_ => 1 } rows(receive_json($node, 'plain', options => { rewrites => 'off' }));
my @same = grep { /public\.other|"id":(1|2|8|10|11)[,}]/ && !/DELETE.*"id":1\}/ } @older;
is_deeply([ grep { !$plain{$_} } @same ], [], 'rows that are in their own version are as without the option');

# protoc reads them by the .proto of then
write_file('orders.proto', $proto);
my %read;
foreach my $event (grep { $_->[0] == 7 } map { fields($_) } batches($bytes))
{
	my %event = map { $_->[0] => $_->[1] } fields($event->[1]);
	next if ($event{1} // 0) != 1 || !$event{7};
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'protoc', "-I$PostgreSQL::Test::Utils::tmp_check", "-I$FindBin::Bin/../../proto", '--decode=cdc.rows.public.orders.v1.Orders', 'orders.proto' ],
		'<', \"$event{5}$event{7}", '>', \$out, '2>', \$err);
	my ($id) = $out =~ /^id: (\d+)/ or next;
	$read{$id} = $out =~ s/\n(?=.)/ /gr;
}
is($read{4}, "id: 4 name: \"d\" extra: 8\n", 'protoc reads a row whose columns are others by now');
is($read{7}, "id: 7 name: \"g\" qty: 7 extra: 7\n", 'and one of a table that is called otherwise');

# rules follow the column, not its name of then
sql(q{SELECT cdc.redact('shop.purchases', 'extra', 'mask', length => 3)});
my @redacted = rows(receive_json($node, 'redacted', options => { versions => 'public.orders=1', rewrites => 'off' }));
like((grep { /"id":4\},/ && /INSERT/ } @redacted)[0], qr/"new":\{"name":"d"\},"redacted":\{"extra":\{"method":"mask","new":"\*\*\*"\}\}/, 'a rule counts in an older version');
is_deeply([ grep { /"(extra|extra_redacted)":\d/ } @redacted ], [], 'everywhere');
sql(q{SELECT cdc.unredact(id) FROM cdc.redaction_rules});

# by ordinary SQL, and rows that are read; another schema has a table of that name
sql(q{SET client_min_messages = error; CREATE TABLE s (id int PRIMARY KEY, v text, n int); SELECT cdc.register('s');
CREATE SCHEMA twin; CREATE TABLE twin.s (id int PRIMARY KEY); SELECT cdc.register('twin.s'); INSERT INTO s VALUES (1, 'x', 5);
ALTER TABLE s RENAME v TO w; ALTER TABLE s ALTER n TYPE bigint; ALTER TABLE s ADD more int; UPDATE s SET more = 1});
my $bytes_of = q{(SELECT string_agg(b, '') FROM cdc.snapshot('s', options => '{versions,public.s=1}') b)};
is((rows(sql("SELECT cdc.decode_json($bytes_of)")))[0], '{"op":"READ","relation":"public.s","key":{"id":1},"new":{"v":"x","n":5}}', 'cdc.snapshot()');
sql(q{SELECT pg_drop_replication_slot('again'); SELECT cdc.create_slot('again', options => '{versions,public.s=1}'); INSERT INTO s VALUES (2, 'y', 6, 7)});
is(sql(q{SELECT new FROM cdc.peek('again')}), '{"n": 6, "v": "y"}', 'cdc.peek(), stored for the slot');
is(sql(q{SELECT count(*) FROM cdc.fetch('again') WHERE position('more' in encode(data, 'escape')) > 0}), '0', 'cdc.fetch()');

# what there is to know before
is(sql(q{SELECT coalesce(cdc.check_mapping('s', 1), 'yes')}), 'yes', 'rows of now fit');
like(sql(q{SELECT cdc.check_mapping('shop.purchases', 1)}), qr/^column name, which cannot be NULL, is not there$/, 'or why they do not');
sql(q{SET client_min_messages = error; CREATE TABLE kinds (id int PRIMARY KEY, n int NOT NULL, list int[], other box); SELECT cdc.register('kinds')});
foreach my $case ([ 'ALTER list TYPE text[]', qr/^column list is \S+ instead of \S+$/ ], [ 'RENAME list TO lists; ALTER TABLE kinds ALTER other TYPE circle USING circle(other)', qr/^column other is \S+ instead of \S+$/ ],
	[ 'DROP CONSTRAINT kinds_pkey, ADD PRIMARY KEY (id, n)', qr/^column n is part of the key$/ ], [ 'DROP CONSTRAINT kinds_pkey, ADD PRIMARY KEY (n)', qr/^column id is not part of the key$/ ])
{
	like(sql(qq{SET client_min_messages = error; BEGIN; ALTER TABLE kinds $case->[0]; SELECT cdc.check_mapping('kinds', 1); ROLLBACK}), $case->[1], "after ALTER TABLE ... $case->[0]");
}
refused('again', 'public.s=0', qr/invalid value for cdc option "versions"/, 'a number that no version has');
refused('again', 'public.s=1;public.s=1', qr/invalid value for cdc option "versions"/, 'what is no list');
refused('again', 'public.s=9', qr/table "s" has no version 9 in the registry/, 'a version that there is not');
refused('again', 'public.none=1', qr/there is no table "public.none"/, 'a table that there is not');
refused('again', 'public.s', qr/invalid value for cdc option "versions"/, 'no version');
refused('again', 'public.*=1', qr/invalid value for cdc option "versions"/, 'all tables');
refused('again', 'public.s=1,', qr/invalid value for cdc option "versions"/, 'a list that goes on');
sql(q{CREATE TABLE unregistered (id int)});
refused('again', 'public.unregistered=1', qr/table "unregistered" has no version 1 in the registry/, 'a table that is not registered');
sql(q{SELECT cdc.retire_version('s', 1, grace => '1 hour')});
is(sql(q{SELECT count(*) FROM cdc.peek('again')}), '1', 'in its time of grace');
sql(q{SELECT cdc.retire_version('s', 1, grace => interval '-1 s')});
my ($out, $err);
isnt($node->psql('postgres', q{SELECT count(*) FROM cdc.peek('again')}, stderr => \$err), 0, 'and after it');
like($err, qr/version 1 of table "s" is not sent any more.*\n.*or leave the table out/, 'what to do then');
isnt($node->psql('postgres', q{SELECT cdc.alter_slot('again', '{versions,public.s=1}')}, stderr => \$err), 0, 'nor can it be stored');
sql(q{SELECT cdc.retire_version('s', 1)});
isnt($node->psql('postgres', q{SELECT count(*) FROM cdc.peek('again')}, stderr => \$err), 0, 'retired without one');

# a table is dropped of which a version is asked for: the others are sent as before
my $stale = q{SELECT coalesce(missing, 'nothing') FROM cdc.slots WHERE slot_name = 'again'};
sql(q{SET client_min_messages = error; CREATE TABLE gone (id int PRIMARY KEY, v text); SELECT cdc.register('gone'); ALTER TABLE gone ALTER v TYPE int USING 0;
SELECT cdc.alter_slot('again', '{versions,"public.s=2,public.gone=1"}'); INSERT INTO gone VALUES (1, 1)});
is(sql($stale), 'nothing', 'nothing is missing');
sql(q{DROP TABLE gone; INSERT INTO s VALUES (4, 'u', 6, 7)});
is(sql($stale), 'public.gone=1 (no such table)', 'cdc.slots tells what is');
is($node->psql('postgres', q{SELECT count(*) FROM cdc.peek('again') WHERE relation = 'public.s' AND key->>'id' = '4'}, stdout => \$out, stderr => \$err), 0, 'the stream goes on');
is($out, '1', 'with the others');
like($err, qr/WARNING:  the option "versions" names versions of tables that are gone\nDETAIL:  These are: public\.gone=1 \(no such table\)\./, 'and a warning');
$node->command_checks_all([ 'pg_recvlogical', '-d', $node->connstr('postgres'), '-S', 'again', '--start', '--no-loop', '-f', '-', '-o', 'versions=public.gone=1', '--endpos', '0/1' ],
	0, [qr/^/], [qr/These are: public\.gone=1/], 'asked for by the client, too');
sql(q{CREATE TABLE gone (id int PRIMARY KEY)});
is(sql($stale), 'public.gone=1 (not in the registry)', 'another one of its name');
is(sql(q{SELECT count(*) FROM cdc.peek('again') WHERE key->>'id' = '4'}), '1', 'is no hindrance either');
sql(q{SET client_min_messages = error; SELECT cdc.alter_slot('again', '{tables,"public.s,public.typo,*.any"}')});
is(sql($stale), 'public.typo (no such table), public.gone=1 (not in the registry)', 'tables, too');
sql(q{SELECT cdc.alter_slot('again', '{tables,NULL,versions,public.s=2}')});
is(sql($stale), 'nothing', 'when it is mended nothing is missing');
sql(q{SET client_min_messages = error; ALTER TABLE s ALTER w TYPE int USING 0; SELECT cdc.retire_version('s', 2)});
is(sql($stale), 'public.s=2 (retired, or its time of grace is over)', 'what will be refused');
sql(q{SELECT cdc.alter_slot('again', '{versions,NULL}'); SELECT * FROM cdc.advance_slot('again', pg_current_wal_lsn())});

# the registry goes, with a consumer that reads an older version
sql(q{SELECT cdc.alter_slot('again', '{versions,public.s=3}'); INSERT INTO s VALUES (3, 1, 6, 7); DROP EXTENSION cdc CASCADE; CREATE EXTENSION cdc});
is(scalar(() = batches(receive($node, q{again}))), 1, 'nothing of it stops the slot');

is_up($node, 'the server lives');
$node->stop;
done_testing();
