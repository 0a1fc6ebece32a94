# Rules of redaction where others must not notice, where decoding runs ahead of what is
# visible, beside concurrent DDL, and after dumps and restores.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use IPC::Run;
use CdcStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "logical_decoding_work_mem = 64kB\nmax_prepared_transactions = 10\n");
my $tmp = $PostgreSQL::Test::Utils::tmp_check;

sub sql { return $node->safe_psql('postgres', @_) }
sub json { my ($slot, %more) = @_; return receive($node, $slot, options => { format => 'json' }, %more) }

# --- no trace in other people's streams: a subscription to all tables, from a server
# without the extension, goes on through every function that writes, and DDL under it
my $other = new_node('other', extension => 0);
$_->safe_psql('postgres', 'CREATE TABLE plain (id int PRIMARY KEY, v text)') for $node, $other;
sql('CREATE PUBLICATION everything FOR ALL TABLES');
# the tables of the extension are there before; a new subscription would ask for them
sql('DROP EXTENSION cdc');
$other->safe_psql('postgres', sprintf(q{CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION everything}, $node->connstr('postgres') =~ s{'}{''}gr));
sql('CREATE EXTENSION cdc');
slot($node, 'before');
sql(q{INSERT INTO plain VALUES (1, 'a')});
sql(q{SELECT cdc.redact('plain', 'v', 'mask'); SELECT cdc.redact_matching('zzz', 'mask')});
sql(q{CREATE TABLE part (id int, v text) PARTITION BY RANGE (id); SELECT cdc.redact('part', 'v', 'drop')});
sql(q{SELECT cdc.confirm_rule(max(id)) FROM cdc.redaction_rules});
$other->safe_psql('postgres', 'CREATE TABLE part (id int, v text) PARTITION BY RANGE (id); CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10)');
sql(q{CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10); ALTER TABLE part RENAME v TO w; DROP TABLE part});
sql(q{SELECT cdc.unredact(id, 'no longer') FROM cdc.redaction_rules});
sql(q{INSERT INTO plain VALUES (2, 'b')});
ok(eventually(sub { sql(q{SELECT count(*) FROM pg_stat_replication}) }), "connected");
$node->wait_for_catchup('s');
is($other->safe_psql('postgres', 'SELECT count(*) FROM plain'), 2, 'a subscription without the extension goes on');
unlike(slurp_file($other->logfile), qr/ERROR/, 'and has met no error');
$other->safe_psql('postgres', 'DROP SUBSCRIPTION s');
sql('DROP PUBLICATION everything');
json('before');

# --- decoding runs ahead of visibility: a synchronous standby is away, so that what has
# committed stays in the list of running transactions
sql('CREATE TABLE ahead (id int PRIMARY KEY, v text)');
slot($node, $_) for qw(ahead sqlside);
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
ok(eventually(sub { sql('SHOW synchronous_standby_names') eq 'nobody' }), 'a standby is away');
my $waiting = $node->background_psql('postgres', on_error_stop => 0);
$waiting->query_until(qr/go/, "\\echo go\nBEGIN; SELECT cdc.redact('ahead', 'v', 'drop'); INSERT INTO ahead VALUES (1, 'SECRET'); COMMIT;\n");
ok(eventually(sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'}) }), 'the transaction waits');
my $local = 'SET synchronous_commit = local;';
sql("$local INSERT INTO ahead VALUES (2, 'SECRET')");
is(sql('SELECT count(*) FROM cdc.redaction_rules'), 0, 'nobody sees the rule');
my $got = json('ahead');
like($got, qr/"id":1/, 'its rows are decoded');
like($got, qr/"id":2/, 'and what comes next');
unlike($got, qr/SECRET/, 'and the rule counts, by walsender');
unlike(sql(qq{$local SELECT string_agg(event::text, '') FROM cdc.peek('sqlside')}), qr/SECRET/, 'and by SQL');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
ok(eventually(sub { !sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'}) }), 'it waits no more');
$waiting->quit;

# a removal counts once it can be seen
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
ok(eventually(sub { sql('SHOW synchronous_standby_names') eq 'nobody' }), 'a standby is away again');
$waiting = $node->background_psql('postgres', on_error_stop => 0);
$waiting->query_until(qr/go/, "\\echo go\nSELECT cdc.unredact(max(id)) FROM cdc.redaction_rules;\n");
ok(eventually(sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'}) }), 'the removal waits');
sql("$local INSERT INTO ahead VALUES (3, 'SECRET')");
unlike(json('ahead'), qr/SECRET/, 'a removal that is not visible does not count');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
ok(eventually(sub { !sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'}) }), 'it waits no more');
$waiting->quit;
sql("INSERT INTO ahead VALUES (4, 'open')");
like(json('ahead'), qr/open/, 'one that is does');

# --- streamed and prepared transactions: the rule is made inside, and before the end
sql('CREATE TABLE big (id int PRIMARY KEY, v text)');
sql(q{SELECT cdc.create_slot('streamed', two_phase => true)});
sql(q{BEGIN; SELECT cdc.redact('big', 'v', 'drop'); INSERT INTO big SELECT g, 'SECRET' || repeat('x', 200) FROM generate_series(1, 3000) g; COMMIT});
sql(q{BEGIN; INSERT INTO big SELECT g, 'SECRET' || repeat('x', 200) FROM generate_series(3001, 6000) g; ALTER TABLE big RENAME v TO w; INSERT INTO big VALUES (6001, 'SECRET'); PREPARE TRANSACTION 'p'});
sql(q{COMMIT PREPARED 'p'});
my $bytes = receive($node, 'streamed', options => { streaming => 'on' });
ok(length($bytes) > 10000, 'streamed and prepared transactions');
unlike($bytes, qr/SECRET/, 'are protected');

# --- redact() beside DDL that makes partitions: it waits for it, or that for it
sql('CREATE TABLE root (id int, v text) PARTITION BY RANGE (id); CREATE TABLE to_attach (id int, v text)');
slot($node, 'beside');
my $ddl = $node->background_psql('postgres');
$ddl->query_safe('BEGIN; CREATE TABLE made PARTITION OF root FOR VALUES FROM (0) TO (10); ALTER TABLE root ATTACH PARTITION to_attach FOR VALUES FROM (10) TO (20)');
my $rule = $node->background_psql('postgres');
$rule->query_until(qr/go/, "\\echo go\nSELECT cdc.redact('root', 'v', 'drop');\n");
ok(eventually(sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'redact'}) }), 'redact() waits for DDL');
$ddl->query_safe('COMMIT');
$ddl->query_safe('ALTER TABLE root DETACH PARTITION made; ALTER TABLE made RENAME TO other; ALTER TABLE other RENAME v TO w');
$ddl->query_safe(q{INSERT INTO other VALUES (1, 'SECRET'); INSERT INTO root VALUES (11, 'SECRET')});
unlike(json('beside'), qr/SECRET/, 'and misses nothing of it');
$_->quit for $ddl, $rule;

# --- dump and restore: names count, and all rules of a part of a dump
sql(<<'SQL');
CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, sec text); CREATE TABLE public.gone (id int, v text);
CREATE TABLE u (id int PRIMARY KEY, old int, email text); SELECT cdc.redact('u', 'email', 'drop'); ALTER TABLE u DROP old; ALTER TABLE u RENAME email TO mail;
CREATE TABLE lost (id int PRIMARY KEY, v text); SELECT cdc.redact('lost', 'v', 'drop') AS rule;
CREATE TABLE inplace (id int PRIMARY KEY, v text); SELECT cdc.redact('inplace', 'v', 'drop');
SELECT cdc.redact('shop.t', 'sec', 'drop'); SELECT cdc.redact('gone', 'v', 'mask'); SELECT cdc.redact_matching('%token%', 'drop');
SQL
my $rules = sql('SELECT count(*) FROM cdc.redaction_rules');
sub restore
{
	my ($db, @options) = @_;
	my ($stdout, $stderr);
	ok(IPC::Run::run([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', "$tmp/$db.sql", @options ], '2>', \$stderr), "a dump for $db");
	is($stderr, '', 'without a warning');
	sql("CREATE DATABASE $db");
	return $node->psql($db, "\\i $tmp/$db.sql", stderr => \$stderr, on_error_stop => 0);
}
restore('whole');
is($node->safe_psql('whole', 'SELECT count(*) FROM cdc.redaction_rules'), $rules, 'a restore brings all rules');
sub whole { return $node->safe_psql('whole', @_) }
whole(q{SELECT cdc.create_slot('whole')});
whole(q{INSERT INTO u VALUES (1, 'SECRET'); INSERT INTO inplace VALUES (1, 'SECRET'); ALTER TABLE inplace DROP v; INSERT INTO inplace VALUES (2); ALTER TABLE u RENAME mail TO m2; INSERT INTO u VALUES (2, 'SECRET')});
my $whole = receive($node, 'whole', db => 'whole', options => { format => 'json' });
unlike($whole, qr/SECRET/, 'names count after a restore');
like($whole, qr/"relation":"public.inplace".*"id":2/, 'a column that is dropped in place withholds nothing');
restore('part', '-N', 'shop', '-T', 'gone');
is($node->safe_psql('part', 'SELECT count(*) FROM cdc.redaction_rules'), $rules, 'a dump without a schema and a table, too');
like($node->safe_psql('part', q{SELECT string_agg(column_name || ' ' || finding, ', ' ORDER BY rule_id) FROM cdc.redaction_report() WHERE finding = 'covers nothing' AND column_name IS NOT NULL}),
	qr/sec covers nothing.*v covers nothing/, 'what finds nothing is reported');
$node->safe_psql('part', q{SELECT cdc.create_slot('part')});
my ($out, $warnings) = ('', '');
IPC::Run::run([ 'pg_recvlogical', '-d', $node->connstr('part'), '-S', 'part', '--start', '--no-loop', '-f', '-', '--endpos', end_of_wal($node) ], '>', \$out, '2>', \$warnings);
like($warnings . slurp_file($node->logfile), qr/rules of redaction find no table/, 'and warned of when a stream starts');

# a rule that finds its table, but not its column: the dump was edited, or the table made
# before: all of it is withheld until the administrator says otherwise
my $text = slurp_file("$tmp/whole.sql");
$text =~ s/(CREATE TABLE public\.lost \(\s+id integer NOT NULL,\s+)v text/$1renamed text/ or die;
$text =~ s/COPY public\.lost \(id, v\)/COPY public.lost (id, renamed)/;
open(my $edited, '>', "$tmp/edited.sql") or die; print $edited $text; close($edited);
sql('CREATE DATABASE edited');
$node->psql('edited', "\\i $tmp/edited.sql", on_error_stop => 0);
my $id = $node->safe_psql('edited', q{SELECT id FROM cdc.redaction_rules WHERE relation = 'lost'::regclass});
$node->safe_psql('edited', q{SELECT cdc.create_slot('edited')});
$node->safe_psql('edited', q{INSERT INTO lost VALUES (1, 'SECRET'); INSERT INTO inplace VALUES (3, 'SECRET')});
$got = receive($node, 'edited', db => 'edited', options => { format => 'json' });
like($got, qr/"relation":"public.lost"/, 'a rule without its column');
unlike($got, qr/SECRET|"id":1/, 'withholds its table');
is($node->safe_psql('edited', q{SELECT relation || ' ' || rule_id FROM cdc.redaction_report() WHERE finding = 'restored rule'}), "lost $id", 'and is reported');
$node->safe_psql('edited', qq{SELECT cdc.redact('lost', 'renamed', 'drop'); SELECT cdc.confirm_rule($id, 'looked at'); INSERT INTO lost VALUES (2, 'SECRET')});
$got = receive($node, 'edited', db => 'edited', options => { format => 'json' });
like($got, qr/"id":2/, 'until it is confirmed');
unlike($got, qr/SECRET/, 'with a rule for the right column');

# nothing of the extension's own keeps a slot from going on: its tables are gone, made anew,
# or emptied, with a backlog
slot($node, 'backlog');
sql(q{SELECT cdc.redact('u', 'mail', 'mask'); INSERT INTO u VALUES (10, 'SECRET'); DROP EXTENSION cdc CASCADE; CREATE TABLE between_them (id int); INSERT INTO between_them VALUES (1); CREATE EXTENSION cdc; INSERT INTO u VALUES (11, 'open')});
$got = json('backlog');
like($got, qr/open/, 'the extension was dropped and made again: the backlog is read');

is_up($node, 'the server lives');
$_->stop for $node, $other;
done_testing();
