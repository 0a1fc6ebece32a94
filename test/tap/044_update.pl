# An update while streams run: to a version that is made up here, of this tree and one more
# function, in an installation of its own. Streams, rules, grants, the registry and options
# of slots are as before; SQL and library that do not go together say what to do.
use strict;
use warnings;

use File::Basename;
use FindBin;
use lib $FindBin::Bin;
use CdcStream;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'a library with sanitizers is not linked anew' if $ENV{SANITIZE};
delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};

my $root = dirname(dirname($FindBin::Bin));
my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $from = (slurp_file("$root/cdc.control") =~ /^default_version = '(.*)'/m)[0];
my $to = $from =~ s/(\d+)$/$1 + 1/er;

sub run_ok
{
	my ($command, $name) = @_;
	my $out;
	IPC::Run::run([ 'bash', '-c', $command ], '>&', \$out) and return $out;
	BAIL_OUT("$name: $out");
}

# A second installation, with what this one has of cdc.
my $pg_config = (run_ok(". '$root/scripts/lib.sh'; WORK='$tmp/update' PG_CONFIG=\$(command -v pg_config); shadow_installation; echo; echo \"\$PG_CONFIG\"", 'an installation') =~ /(\S+)\n\z/)[0];
my ($bin, $lib, $share) = map { my $dir = run_ok("'$pg_config' --$_", $_); chomp $dir; $dir } qw(bindir pkglibdir sharedir);
my ($lib_here, $share_here) = map { my $dir = run_ok("pg_config --$_", $_); chomp $dir; $dir } qw(pkglibdir sharedir);
sub install_from { run_ok("rm -f '$lib/cdc.so' && cp -L '$lib_here/cdc.so' '$lib/' && cp -L '$share_here'/extension/cdc* '$share/extension/'", 'install') }
install_from();

# The next version: a function more, in C.
my $next = "$tmp/next";
run_ok("mkdir '$next' && cd '$root' && cp -a Makefile cdc.control install proto src '$next'", 'a copy of the tree');
my $function = q{
CREATE FUNCTION cdc.next_one() RETURNS integer LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cdc_next_one';
REVOKE ALL ON FUNCTION cdc.next_one() FROM PUBLIC;
COMMENT ON FUNCTION cdc.next_one() IS 'What the next version has more.';
};
append_to_file("$next/install/metadata.sql", $function);
mkdir "$next/install/updates";
append_to_file("$next/install/updates/$from--$to.sql", $function);
append_to_file("$next/src/catalog/exttablefuncs.c", q{
PG_FUNCTION_INFO_V1(cdc_next_one);

Datum
cdc_next_one(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(1);
}
});
run_ok("cd '$next' && sed -i \"s/^default_version.*/default_version = '$to'/\" cdc.control && touch \$(grep -rl CDC_VERSION src --include=*.c)"
	  . " && make -s with_llvm=no PG_CONFIG='$pg_config' all", 'make');
sub install_to { run_ok("make -s -C '$next' with_llvm=no PG_CONFIG='$pg_config' install", 'make install') }

# A session that stays: what it was asked, and what it said.
my ($in, $out);
my $psql;
sub open_session
{
	my ($node) = @_;
	($in, $out) = ('', '');
	local %ENV = $node->_get_env;
	$psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>&1');
}

sub ask
{
	my ($query) = @_;
	$out = '';
	$in .= "$query;\n\\echo done\n";
	$psql->pump until $out =~ /done\n/;
	return $out =~ s/done\n//r;
}

my $node = new_node('main', install_path => dirname($bin), extension => 0);
sub sql { return $node->safe_psql('postgres', @_) }

sub refused
{
	my ($query, $pattern, $name, $db) = @_;
	my ($code, undef, $err) = $node->psql($db // 'postgres', $query);
	ok($code != 0, "$name: refused");
	like($err, $pattern, "$name: says why, and what to do");
}

# All objects of the extension, how they are declared, and whose they are.
my $inventory = q{
SET search_path = pg_catalog;
WITH object AS (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cdc'))
SELECT line FROM (
  SELECT pg_describe_object(classid, objid, 0) || ': ' || coalesce(obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)), '') FROM object
  UNION ALL SELECT pg_get_functiondef(objid) || coalesce(proacl::text, '') FROM object JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
  UNION ALL SELECT c.relname || coalesce(pg_get_viewdef(c.oid), '') || coalesce(relacl::text, '') || relreplident::text FROM object JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
    WHERE relkind IN ('r', 'v')
  UNION ALL SELECT concat_ws(' ', c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(adbin, adrelid), col_description(c.oid, a.attnum))
    FROM object JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = a.attnum
  UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(k.oid) FROM object JOIN pg_constraint k ON classid = 'pg_class'::regclass AND objid = conrelid
  UNION ALL SELECT pg_get_triggerdef(t.oid) || tgenabled::text FROM object JOIN pg_trigger t ON classid = 'pg_class'::regclass AND objid = tgrelid AND NOT tgisinternal
  UNION ALL SELECT concat_ws(' ', evtname, evtevent, evtfoid::regprocedure, evtenabled, evttags) FROM object JOIN pg_event_trigger t ON classid = 'pg_event_trigger'::regclass AND objid = t.oid
  UNION ALL SELECT unnest(extconfig)::regclass || ' is dumped' FROM pg_extension WHERE extname = 'cdc'
) x(line) ORDER BY line COLLATE "C"};

# Whether a database that was updated has what a new one has.
sub updated_is_new
{
	my ($version) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE updated; CREATE DATABASE new");
	$node->safe_psql('updated', "CREATE EXTENSION cdc VERSION '$version'; ALTER EXTENSION cdc UPDATE");
	$node->safe_psql('new', 'CREATE EXTENSION cdc');
	is($node->safe_psql('updated', $inventory), $node->safe_psql('new', $inventory), "updated from $version, it is what a new one is");
	$node->safe_psql('postgres', "DROP DATABASE updated; DROP DATABASE new");
}

# --- before ----------------------------------------------------------------

sql(q{CREATE EXTENSION cdc; CREATE ROLE app LOGIN;
CREATE TABLE t (id int PRIMARY KEY, secret text, v text);
SELECT cdc.redact('t', 'secret', 'constant', value => 'hidden'); SELECT cdc.register('t'); SELECT cdc.grant_read('t', 'app', '{id,v}');
SELECT cdc.register_reader('app', 't', 1);
SELECT cdc.create_slot('live'); SELECT cdc.create_slot('kept', options => '{format,json}', reader => 'app')});
my $state = q{SELECT json_agg(x) FROM (SELECT 'rule', to_jsonb(r) FROM cdc.redaction_rule r UNION ALL SELECT 'name', to_jsonb(r) FROM cdc.redaction_name r
  UNION ALL SELECT 'column', to_jsonb(r) FROM cdc.redaction_column r UNION ALL SELECT 'grant', to_jsonb(r) FROM cdc.read_grant r
  UNION ALL SELECT 'option', to_jsonb(r) FROM cdc.slot_option r UNION ALL SELECT 'table', to_jsonb(r) FROM cdc.registered_table r
  UNION ALL SELECT 'version', to_jsonb(r) FROM cdc.schema_detail r UNION ALL SELECT 'reader', to_jsonb(r) FROM cdc.schema_reader r
  UNION ALL SELECT 'audit', to_jsonb(r) FROM cdc.redaction_audit r UNION ALL SELECT 'secret', to_jsonb(r) FROM cdc.redaction_secret r ORDER BY 1, 2) x};
my $before = sql($state);
my $count = () = $before =~ /"\?column\?"/g;
cmp_ok($count, '>=', 8, 'there is something of each kind to be kept');

my $file = "$tmp/live.json";
my $receiver = IPC::Run::start([ "$bin/pg_recvlogical", '-d', $node->connstr('postgres'), qw(--slot live --start --no-loop -o format=json -f), $file ], '2>', "$tmp/live.err");
my $rows = 0;
sub live
{
	my ($name) = @_;
	$rows++;
	sql("INSERT INTO t VALUES ($rows, 'private', 'row $rows')");
	ok(eventually(sub { -e $file && slurp_file($file) =~ /"new":\{[^}]*"v":"row $rows"/ }), "a stream that runs has the row: $name");
}
live('before');
open_session($node);
is(ask('SELECT cdc.library_version()'), "$from\n", 'a session has the library');

# --- a new library, and the old SQL ------------------------------------------

install_to();
is(sql('SELECT cdc.library_version()'), $to, 'a session that begins has the new one');
is(ask('SELECT cdc.library_version()'), "$from\n", 'one that was open has the old one');
my $versions = qr/extension "cdc" has version \Q$from\E in this database, and its library version \Q$to\E\b/;
my $update = qr/HINT:  Run ALTER EXTENSION cdc UPDATE in this database/;
refused(q{SELECT cdc.peek('kept')}, qr/$versions.*$update/s, 'a stream with old SQL');
refused(q{SELECT cdc.snapshot('t')}, qr/$versions.*$update/s, 'a snapshot with old SQL');
live('a new library, old SQL');

# --- an old library, and the new SQL -----------------------------------------

my $needs = qr/version \Q$to\E of extension "cdc" needs its library, and this session has that of version \Q$from\E\n/;
my $again = qr/HINT:  Connect again, .*shared_preload_libraries, restart the server/;
like(ask('ALTER EXTENSION cdc UPDATE'), qr/$needs.*$again/s, 'a session with the old library cannot update, and says what to do');
is(sql(q{SELECT extversion FROM pg_extension WHERE extname = 'cdc'}), $from, 'nothing has changed');
sql('ALTER EXTENSION cdc UPDATE');
is(sql(q{SELECT extversion || cdc.next_one() FROM pg_extension WHERE extname = 'cdc'}), "${to}1", 'another one updates, while a stream runs');
live('an old library, new SQL');
like(ask(q{SELECT cdc.peek('kept')}), qr/has version \Q$to\E in this database, and its library version \Q$from\E\n.*HINT:  Connect again/s, 'a session with the old library reads no stream, and says what to do');
$in .= "\\q\n";
$psql->finish;

# --- after -------------------------------------------------------------------

is(sql($state), $before, 'rules, grants, the registry and options of slots are as they were');
$receiver->signal('INT');
$receiver->finish;
my @lines = grep { /"relation":"public\.t"/ } split /\n/, slurp_file($file) . join "\n", receive_json($node, 'live');
my %came = map { /"key":\{"id":(\d+)\}.*"hidden"/ ? ($1 => 1) : () } @lines;
is(join(' ', sort keys %came), join(' ', 1 .. $rows), 'all rows came');
unlike(join('', @lines), qr/private/, 'and none with what is redacted');
live_again();
updated_is_new($from);
foreach my $script (sort glob "$root/test/release/*/cdc--*.sql")
{
	my $released = basename(dirname($script));
	my $library = slurp_file("$lib/cdc.so");
	my @lacking = grep { index($library, "pg_finfo_$_\0") < 0 } slurp_file($script) =~ /AS 'MODULE_PATHNAME', '(\w+)'/g;
	is("@lacking", '', "the library has every function that SQL of release $released speaks of");
	next if $released eq $from || !-e "$root/install/updates/$released--$from.sql";
	run_ok("cp '$script' '$share/extension/'", 'the script of a release');
	updated_is_new($released);
}

sub live_again
{
	sql(q{INSERT INTO t VALUES (100, 'private', 'after')});
	like(receive($node, 'live'), qr/\x2a.\Q$to\E/s, 'who connects again is sent by the new library');
	like($node->safe_psql('postgres', q{SELECT string_agg(event::text, ' ') FROM cdc.peek('kept')}), qr/"after".*hidden/, 'a slot with stored options goes on');
}

# --- a library that is preloaded ---------------------------------------------

sql('DROP EXTENSION cdc CASCADE; SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
install_from();
$node->append_conf('postgresql.conf', 'shared_preload_libraries = cdc');
$node->restart;
sql("CREATE EXTENSION cdc VERSION '$from'; SELECT cdc.create_slot('kept')");
install_to();
my $restart = qr/$needs.*HINT:  .*shared_preload_libraries, restart the server before/s;
refused('ALTER EXTENSION cdc UPDATE', $restart, 'an update before the restart');
sql('CREATE DATABASE other');
refused('CREATE EXTENSION cdc', $restart, 'CREATE EXTENSION before the restart', 'other');
is(sql(q{SELECT count(*) FROM cdc.peek('kept')}), '0', 'until then it goes on as it was');
$node->restart;
refused(q{SELECT cdc.peek('kept')}, $update, 'a stream after the restart, before the update');
sql('ALTER EXTENSION cdc UPDATE; SELECT cdc.next_one()');
is(sql(q{SELECT count(*) FROM cdc.peek('kept')}), '0', 'the slot goes on after the update');

done_testing();
