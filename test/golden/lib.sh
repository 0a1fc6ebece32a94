# Shared by the scripts in this directory; to be sourced by bash.
#
# The server is the one that libpq's environment points to when PGHOST is set,
# otherwise one of its own, made with the programs of PG_CONFIG (or in PATH).

set -euo pipefail
shopt -s nullglob

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d /tmp/cdc-golden-XXXXXX)
bin=$("${PG_CONFIG:-pg_config}" --bindir)
PATH=$bin:$PATH
DB=golden SLOT=golden

stop()
{
	local rc=$?

	[ ! -e "$work/data/postmaster.pid" ] || pg_ctl -D "$work/data" -m immediate -w stop >/dev/null || :
	rm -rf "$work"
	exit $rc
}
trap stop EXIT

start()
{
	initdb -D "$work/data" -A trust -U postgres --no-locale -E UTF8 --no-sync >"$work/log" 2>&1 || { cat "$work/log"; return 1; }
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$work'"
		postgres -V | grep -qE ' (19|[2-9][0-9])' || echo "wal_level = logical"
		echo "fsync = off"
		if grep -q '^output_plugin_libraries' <<<"$(postgres --describe-config)"; then
			echo "output_plugin_libraries = 'pgoutput, cdc'"
		fi
	} >>"$work/data/postgresql.conf"
	export PGHOST=$work PGUSER=postgres
	pg_ctl -D "$work/data" -l "$work/log" -w start >/dev/null || { cat "$work/log"; return 1; }
}
[ -n "${PGHOST-}" ] || start

export PGDATABASE=postgres PGCLIENTENCODING=UTF8 PGOPTIONS='-c client_min_messages=warning'
sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }

# The names given, or all.
names()
{
	local file

	if [ $# -gt 0 ]; then
		printf '%s\n' "$@"
	else
		for file in "$here"/*.sql; do
			[ "$file" = "$here/damage.sql" ] || basename "$file" .sql
		done
	fi
}

# record NAME FILE: runs NAME.sql in a database of its own, and writes what
# the plugin sends as one Stream: pg_recvlogical puts a newline after each
# batch, which moved to the front is the tag of each batch's field.
record()
{
	local option options=() endpos track=on

	for option in $(sed -n 's/^-- options: //p' "$here/$1.sql"); do options+=(-o "$option"); done
	forget
	sql -c "CREATE DATABASE $DB ENCODING 'UTF8' TEMPLATE template0"
	PGDATABASE=$DB sql -c 'CREATE EXTENSION cdc' \
		-c "SELECT FROM pg_create_logical_replication_slot('$SLOT', 'cdc')" >/dev/null
	# most are about rows
	grep -q '^-- changes of schemas' "$here/$1.sql" || track=off
	PGOPTIONS="$PGOPTIONS -c cdc.track_schema=$track" PGDATABASE=$DB sql -f "$here/$1.sql" >/dev/null
	endpos=$(PGDATABASE=$DB sql -c "SELECT pg_create_restore_point('golden')")
	rm -f "$work/received"
	PGOPTIONS='-c client_min_messages=error' pg_recvlogical -d $DB -S $SLOT --start --no-loop --endpos "$endpos" -f "$work/received" \
		${options[@]+"${options[@]}"}
	[ -z "$(tail -c 1 "$work/received" | tr -d '\n')" ] || { echo "no newline at the end"; return 1; }
	{
		[ ! -s "$work/received" ] || echo
		head -c -1 "$work/received"
	} >"$2"
	forget
}

forget()
{
	sql -c "SELECT pg_drop_replication_slot('$SLOT') FROM pg_replication_slots WHERE slot_name = '$SLOT'" >/dev/null
	sql -c "DROP DATABASE IF EXISTS $DB"
}

# decode FILE: a Stream as JSON lines.
decode()
{
	{
		printf "SELECT cdc.decode_json(decode('"
		base64 -w 0 "$1"
		printf "', 'base64'))"
	} | sql -f -
}

# What is wrong with how damaged copies of FILE are met.
damage()
{
	{
		printf "SET golden.data = '\\\\x"
		od -An -v -tx1 "$1" | tr -d ' \n'
		printf "';\nSET golden.copies = %d;\n" "${CDC_GOLDEN_COPIES:-1000}"
		cat "$here/damage.sql"
	} | sql -f -
}

# Where the decoder is, when no workload's database is.
decoder_database()
{
	PGDATABASE=postgres
	sql -c 'DROP DATABASE IF EXISTS golden_decode' -c "CREATE DATABASE golden_decode ENCODING 'UTF8' TEMPLATE template0"
	PGDATABASE=golden_decode
	sql -c 'CREATE EXTENSION cdc'
}
