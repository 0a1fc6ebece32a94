#!/bin/bash
# pg_upgrade, as docs/operations.md says it is done: 15 to 17, where slots are made anew, and on to 18 and 19, where they
# come along. Nothing of the extension differs afterwards, rules redact, and two consumers have each row once. In a
# Debian with four servers of its own (CDC_FOLDERS as in scripts/matrix); as root. Prints TAP.
#
#   test/packages/pg_upgrade.sh [MAJOR...]     by default 15 17 18 19; two of them at least
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
MAJORS=(15 17 18 19)

tests=0 failed=0
check()					# NAME COMMAND...
{
	local name=$1

	shift
	tests=$((tests + 1))
	if "$@" >"$work/out" 2>&1; then
		echo "ok $tests - $name"
	else
		failed=1
		echo "not ok $tests - $name"
		tail -n 40 "$work/out" | sed 's/^/# /'
		tail -qn 2 "$work"/consumer.* "$work/log.$MAJOR" | sed 's/^/#   /'
	fi
}
is() { [ "$1" = "$2" ] || { echo "$1, where $2 was expected"; return 1; }; }
not() { ! "$@"; }
eventually()				# COMMAND...
{
	for _ in $(seq 150); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.2
	done
	"$@"
}

# --- servers -----------------------------------------------------------------

as() { (cd "$work" && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"); }
bin() { echo "/usr/lib/postgresql/$1/bin"; }
sql() { as "$(bin "$MAJOR")/psql" -XAtq -v ON_ERROR_STOP=1 "$@"; }
query() { sql -c "$1"; }
cluster()				# MAJOR
{
	local sums=()

	# as of 18 they are the default, and both have to have them, or not
	[ "$1" -lt 18 ] || sums=(--no-data-checksums)
	as "$(bin "$1")/initdb" -D "$work/$1" -U postgres -A trust --no-locale -E UTF8 --no-sync "${sums[@]}" >"$work/initdb"
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$work'"
		echo "wal_level = logical"
		echo "max_replication_slots = 10"
		echo "fsync = off"
		echo "shared_preload_libraries = 'cdc'"
		! grep -q '^output_plugin_libraries' <<<"$(as "$(bin "$1")/postgres" --describe-config)" || echo "output_plugin_libraries = 'cdc'"
	} >>"$work/$1/postgresql.conf"
}
start() { MAJOR=$1; as "$(bin "$1")/pg_ctl" -D "$work/$1" -l "$work/log.$1" -w start >/dev/null; }
stop() { as "$(bin "$MAJOR")/pg_ctl" -D "$work/$MAJOR" -m fast -w stop >/dev/null; }
upgrade()				# OLD NEW [OPTION...]
{
	as "$(bin "$2")/pg_upgrade" -b "$(bin "$1")" -B "$(bin "$2")" -d "$work/$1" -D "$work/$2" -U postgres -s "$work" "${@:3}" ||
		{ find "$work/$2/pg_upgrade_output.d" -type f \( -name '*.txt' -o -name '*dump_[0-9]*.log' \) -exec grep -h -m1 -A3 'not consumed\|error:' {} +; return 1; }
}
refused()				# WHY OLD NEW
{
	local said

	! said=$(upgrade "$2" "$3" --check 2>&1) || return 1
	grep -q "$1" <<<"$said" || { echo "$said"; return 1; }
}

# --- what there is ------------------------------------------------------------

rows=0
insert()				# HOW MANY: each with a number of a card that nobody may be sent
{
	query "INSERT INTO shop.orders (customer, email, pan, state, town)
		SELECT 'customer ' || i, 'someone' || i || '@example.com', '4111-0000-' || i, 'sent'::shop.state, ROW('street', 'town ' || i)::shop.address
		FROM generate_series($((rows + 1)), $((rows + $1))) i"
	rows=$((rows + $1))
}
populate()
{
	sql <<-'SQL'
		CREATE EXTENSION cdc;
		CREATE ROLE app LOGIN;
		CREATE ROLE clerk;
		CREATE SCHEMA other; CREATE SCHEMA shop;
		CREATE TYPE shop.state AS ENUM ('new', 'sent');
		ALTER TYPE shop.state ADD VALUE 'paid' BEFORE 'sent';
		CREATE TYPE shop.address AS (street text, town text);
		CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone int, customer text,
			email text, card text, state shop.state, town shop.address);
		ALTER TABLE shop.orders DROP gone;
		CREATE TABLE shop.parts (id int, at date, price numeric(12,2), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
		CREATE TABLE shop.parts_now PARTITION OF shop.parts DEFAULT;
		SELECT cdc.redact('shop.orders', 'card', 'hash') AS hashed, cdc.redact('shop.orders', 'customer', 'mask') AS mask \gset
		SELECT cdc.redact_matching('%mail%', 'null', reason => 'nobody reads them');
		SELECT cdc.unredact(:mask);
		ALTER TABLE shop.orders RENAME card TO pan;
		SELECT cdc.grant_read('shop.orders', 'app', reason => 'bills'), cdc.grant_read('shop.parts', 'clerk', '{id,price}'),
			cdc.grant_read(prefix => 'app.', role => 'app');
		SELECT cdc.register('shop.orders', 'backward'), cdc.register('shop.parts', 'none');
		ALTER TABLE shop.orders ADD note text;
		ALTER TABLE shop.parts RENAME price TO cost;
		SELECT cdc.register_reader('billing', 'shop.orders', 1), cdc.set_enforcement('reject');
		GRANT USAGE ON SCHEMA cdc TO app, clerk;
		GRANT EXECUTE ON FUNCTION cdc.fetch TO app;
		GRANT SELECT ON cdc.redaction_rules TO clerk;
	SQL
}

# All that the extension keeps, what it is made of, and what it says of tables.
# Positions are written with more digits as of 19.
state()
{
	sql <<-'SQL' | sed -E 's,\<([0-9A-F]+)/0*([0-9A-F]+)\>,\1/\2,g' | sort
		SELECT extversion, extowner, extrelocatable, extconfig::regclass[], extcondition FROM pg_extension WHERE extname = 'cdc';
		SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
		WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cdc') AND deptype = 'e' AND classid <> 'pg_type'::regclass;
		SELECT evtname, evtevent, evtenabled, evttags FROM pg_event_trigger;
		SELECT oid::regprocedure, probin, prosecdef, proconfig, obj_description(oid, 'pg_proc') FROM pg_proc WHERE pronamespace = 'cdc'::regnamespace;
		SELECT oid::regclass, obj_description(oid, 'pg_class') FROM pg_class WHERE relnamespace = 'cdc'::regnamespace AND relkind <> 't';
		-- the owner's own may be written or not, and there are more of them in newer versions
		SELECT name, grantee::regrole, privilege_type FROM (
			SELECT oid::regprocedure::text, proowner, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc WHERE pronamespace = 'cdc'::regnamespace
			UNION ALL SELECT oid::regclass::text, relowner, coalesce(relacl, acldefault('r', relowner)) FROM pg_class WHERE relnamespace = 'cdc'::regnamespace
			UNION ALL SELECT nspname, nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace WHERE nspname = 'cdc') o(name, owner, acl), aclexplode(acl)
		WHERE grantee <> owner;
		SELECT format('SELECT %1$L, * FROM cdc.%1$I', relname) FROM pg_class
		WHERE relnamespace = 'cdc'::regnamespace AND relkind IN ('r', 'v') AND relname NOT IN ('slots', 'stats', 'slot_option') \gexec
		SELECT format('SELECT %1$L, last_value, is_called FROM cdc.%1$I', relname) FROM pg_class
		WHERE relnamespace = 'cdc'::regnamespace AND relkind = 'S' \gexec
		SELECT c.oid, c.oid::regclass, cdc.fingerprint(c.oid), cdc.table_schema(c.oid), cdc.proto(c.oid) FROM pg_class c
		WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p');
		SELECT * FROM cdc.redaction_report();
		SELECT * FROM cdc.export_schemas();
	SQL
}
same_state() { state >"$work/state.now" && diff "$work/state" "$work/state.now"; }

# --- consumers ------------------------------------------------------------------

# Two, which go on whenever there is a server: one by the protocol, one as a role that only has cdc.fetch().
consume()				# NAME ARGUMENT...
{
	local name=$1

	shift
	while :; do
		as cdc-tail --conninfo "host=$work dbname=postgres $1" "${@:2}" --ack --json >>"$work/read.$name" 2>>"$work/consumer.$name" || sleep 0.5
	done
}
CONSUMERS=()
consumers_start()
{
	set -m
	consume feed user=postgres --slot feed &
	CONSUMERS+=($!)
	consume bound user=app --slot bound --fetch &
	CONSUMERS+=($!)
	set +m
}
consumers_stop()
{
	local pid

	for pid in "${CONSUMERS[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	CONSUMERS=()
}
slots_made()
{
	query "SELECT cdc.create_slot('feed', options => '{batch_bytes,100000}')"
	query "SELECT cdc.create_slot('bound', reader => 'app', options => '{tables,shop.orders}')"
	query "SELECT cdc.create_slot('late')"
}
# Every row once, in the order of the numbers.
each_once() { is "$(grep '"op":"INSERT"' "$work/read.$1" | grep -oE '"key":\{"id":[0-9]+' | grep -oE '[0-9]+$' | tr '\n' ' ')" "$(seq "$rows" | tr '\n' ' ')"; }
drained() { is "$(query "SELECT bool_and(confirmed_flush_lsn >= '$1') FROM cdc.slots WHERE slot_name <> 'late'")" t; }
redacted()
{
	is "$(grep -cE '4111-0000|someone[0-9]*@' "$work/read.feed" "$work/read.bound" | tr '\n' ' ')" "$work/read.feed:0 $work/read.bound:0 " &&
		is "$(query "SELECT count(*) FROM (SELECT cdc.snapshot('shop.orders') AS s) x WHERE s::text ~ encode('4111-0000', 'hex')")" 0
}
# The same value has the same hash as before.
hashes() { grep -qE '"[0-9]+:[0-9a-f]{64}"' <<<"$hash" && is "$(hash_of_first)" "$hash"; }

# As docs/operations.md has it: the statements that make the slots of here.
note_slots()
{
	query "SELECT format('SELECT cdc.create_slot(%L, two_phase => %L, failover => %L, options => %L, reader => %L);',
	              slot_name, two_phase, failover,
	              ARRAY(SELECT unnest(ARRAY[key, value]) FROM jsonb_each_text(options)), reader)
	       FROM cdc.slots WHERE NOT temporary"
}
settings_of_slots() { query "SELECT slot_name, two_phase, failover, options, reader, missing FROM cdc.slots ORDER BY 1"; }

# --- what is done ------------------------------------------------------------------

confirmed() { eventually drained "$(query 'SELECT pg_current_wal_insert_lsn()')"; }
hash_of_first() { query "SELECT cdc.decode_json(s) FROM cdc.snapshot('shop.orders', '{1}', '{2}') s" | grep -oE '"pan":\{"method":"hash","new":"[^"]*"'; }
note()
{
	hash=$(hash_of_first)
	state >"$work/state"
	settings_of_slots >"$work/slots"
	note_slots >"$work/slots.sql"
	chmod a+r "$work/slots.sql"
}
# Minor releases of one day count versions of columns in pg_attver; a new major version's release of before refuses
# it, of every table. Debian has such pairs for a while: all but that is tested with them.
forget_versions()			# NEW
{
	! grep -q pg_attver "$(bin "$MAJOR")/pg_dump" || grep -q pg_attver "$(bin "$1")/pg_dump" || {
		echo "# $("$(bin "$1")/postgres" --version) is older than what is upgraded: pg_attver is removed"
		sql -c 'SET allow_system_table_mods = on' -c "UPDATE pg_attribute SET attoptions = NULL WHERE attoptions::text ~ '^{pg_attver=[0-9]*}$'"
		confirmed
	}
}

step()					# OLD NEW
{
	local old=$1 new=$2 kept=
	[ "$old" -lt 17 ] || kept=yes

	insert 50
	check "$old: consumers confirm everything" confirmed
	note
	forget_versions "$new"
	consumers_stop
	cluster "$new"
	if [ -n "$kept" ]; then
		check "$old: a slot in which something waits" test "$(query "SELECT count(*) FROM cdc.peek('late') WHERE op = 'INSERT'")" -gt 0
		stop
		check "$old to $new is refused: it would lose what waits" refused 'logical replication slots  *fatal' "$old" "$new"
		start "$old"
		query "SELECT cdc.advance_slot('late', pg_current_wal_insert_lsn())" >/dev/null
	fi
	stop
	mv "/usr/lib/postgresql/$new/lib/cdc.so" "$work/cdc.so"
	check "$old to $new without the library is refused" refused 'required libraries  *fatal\|could not connect to target' "$old" "$new"
	mv "$work/cdc.so" "/usr/lib/postgresql/$new/lib/cdc.so"
	check "pg_upgrade from $old to $new" upgrade "$old" "$new" --no-sync
	start "$new"
	check "$new: the extension has all that it had, under the same numbers" same_state
	if [ -n "$kept" ]; then
		check "$new: the slots are there" is "$(query "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM cdc.slots WHERE wal_status = 'reserved' AND invalidation IS NULL")" "bound feed late"
	else
		check "$new: the slots are not" is "$(query 'SELECT count(*) FROM cdc.slots')" 0
		check "$new: they are made anew" sql -f "$work/slots.sql"
	fi
	check "$new: their options and readers are as they were" diff "$work/slots" <(settings_of_slots)
	insert 50
	consumers_start
	check "$new: who reads by the protocol has each row once" eventually each_once feed
	check "$new: and who reads by cdc.fetch()" eventually each_once bound
	check "$new: the other slot begins here" is "$(query "SELECT min((key->>'id')::int) FROM cdc.peek('late') WHERE op = 'INSERT'")" $((rows - 49))
	check "$new: nothing of what rules withhold" redacted
	check "$new: a value has the hash that it had" hashes
	check "$new: cdc.stats counts" is "$(query "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM cdc.stats WHERE events >= 50 AND failures = 0")" "bound feed late"
	check "$new: cdc.slots says that little waits" eventually little_waits
	check "$new: there is nothing to update" is "$(query "SELECT installed_version = default_version FROM pg_available_extensions WHERE name = 'cdc'")" t
	check "$new: rules and registry follow DDL" follows "$new"
	check "$new: a dump can be made" as "$(bin "$new")/pg_dump" -f "$work/dump"
}
little_waits() { is "$(query "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM cdc.slots WHERE slot_name <> 'late' AND lag_bytes BETWEEN 0 AND 100000 AND missing IS NULL")" "bound feed"; }
follows()				# NEW
{
	query "SELECT cdc.allow_breaking('a test'); ALTER TABLE shop.orders RENAME pan TO pan_$1; ALTER TABLE shop.orders RENAME pan_$1 TO pan" &&
		query "ALTER TABLE shop.orders ADD new_in_$1 text" &&
		is "$(query "SELECT string_agg(attname, ' ' ORDER BY attname) FROM cdc.redaction_covered WHERE relid = 'shop.orders'::regclass")" "email pan" &&
		is "$(query "SELECT command FROM cdc.schema_versions WHERE relation = 'shop.orders'::regclass AND current")" "ALTER TABLE shop.orders" &&
		query "SELECT cdc.proto('shop.orders')" | grep "new_in_$1"
}

inside()
{
	local n

	work=$(mktemp -d)
	chown postgres: "$work"
	export PGHOST=$work PGUSER=postgres PGDATABASE=postgres
	rm -rf "$work"/[0-9]*
	for n in "$@"; do
		make -s -C "$tree" clean PG_CONFIG="$(bin "$n")/pg_config" >/dev/null
		# 15 declares functions as C no longer does
		make -s -C "$tree" -j"$(nproc)" with_llvm=no COPT="$([ "$n" -gt 15 ] || echo -std=gnu17)" PG_CONFIG="$(bin "$n")/pg_config" all install >"$work/make" 2>&1 || { tail "$work/make"; exit 1; }
	done
	trap 'consumers_stop; stop' EXIT
	cluster "$1"
	start "$1"
	populate >/dev/null
	slots_made >/dev/null
	consumers_start
	for n in "${@:2}"; do step "$MAJOR" "$n"; done
	consumers_stop
	stop
	trap - EXIT
	rm -rf "$work"
	echo "1..$tests"
	return $failed
}

# --- the folder ---------------------------------------------------------------------

# The newest Debian, which has the newest servers; older Debians' servers run there with their own libraries.
prepare()				# DIR
{
	local dir=$1 suite

	[ ! -e "$dir.done" ] || return 0
	say "making a Debian with ${MAJORS[*]} in $dir"
	make_folder experimental "$dir"
	for suite in bookworm trixie; do add_suite "$dir" "$suite"; done
	in_folder "$dir" apt-get -qq update
	leave_out_llvm "$dir" "${MAJORS[@]}"
	in_folder "$dir" env DEBIAN_FRONTEND=noninteractive sh -ec "mkdir -p /etc/postgresql-common
		echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
		apt-get -qq -y --no-install-recommends install $(. "$tree/scripts/lib.sh"; PG_MAJOR=15; packages build | tr '\n' ' ') \
			${MAJORS[*]/#/postgresql-} ${MAJORS[*]/#/postgresql-server-dev-}" >"$dir.log" 2>&1 || { tail "$dir.log" >&2; die "not all servers could be installed"; }
	touch "$dir.done"
}

if [ "${1-}" = --inside ]; then
	shift
	inside "$@"
	exit
fi
. "$tree/scripts/folders.sh"
[ $# -gt 0 ] || set -- "${MAJORS[@]}"
[ $# -gt 1 ] || die "two major versions at least"
FOLDERS=${CDC_FOLDERS:-/var/tmp/cdc-folders}
mkdir -p "$FOLDERS"
dir=$FOLDERS/upgrade
keep_archives "$FOLDERS/archives-upgrade"
prepare "$dir"
"$tree/scripts/tarball" --binaries "$dir/tmp/programs"
install -m 755 "$dir/tmp/programs/cdc-tail" "$dir/usr/local/bin/"
rm -rf "$dir/tree" "$dir/tmp/programs"
mkdir "$dir/tree"
(. "$tree/scripts/lib.sh"; archive_tree "$tree") | tar --no-same-owner -xf - -C "$dir/tree"
in_folder "$dir" /tree/test/packages/pg_upgrade.sh --inside "$@"
