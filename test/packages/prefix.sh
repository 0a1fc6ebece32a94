#!/bin/bash
# packaging/prefix.sh, the layout of CloudNativePG's images: an unmodified server streams from
# a folder that is mounted read-only, by extension_control_path and dynamic_library_path alone.
# In the folders of scripts/matrix, which have the servers; as root. Prints TAP.
#
#   test/packages/prefix.sh [FOLDER...]     sid (18), experimental (19); by default those that are there
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# In the folder: builds the prefix, and looks at it from outside of the tree.
inside()
{
	local major prefix=/extensions/cdc failed=0 tests=0

	. "$tree/scripts/lib.sh"
	choose_server
	ensure_packages server build
	major=$PG_MAJOR
	PATH=/usr/lib/postgresql/$major/bin:$PATH
	work=$(mktemp -d)
	chmod 755 "$work"
	rm -rf /made "$prefix"
	mkdir -p /made "$prefix"
	PG_CONFIG=$PG_CONFIG "$tree/packaging/prefix.sh" /made
	mount --bind -o ro /made "$prefix"

	check()				# NAME COMMAND...
	{
		local name=$1

		shift
		tests=$((tests + 1))
		if "$@" >"$work/out" 2>&1; then
			echo "ok $tests - PostgreSQL $major: $name"
		else
			failed=1
			echo "not ok $tests - PostgreSQL $major: $name"
			tail -n 30 "$work/out" | sed 's/^/# /'
		fi
	}
	is() { [ "$1" = "$2" ] || { echo "$1, where $2 was expected"; return 1; }; }
	not() { ! "$@"; }

	check "the prefix is read-only" not touch "$prefix/lib/x"
	check "the server has no cdc of its own" is "$(find /usr/lib/postgresql /usr/share/postgresql -name 'cdc*')" ""
	check "no path is in cdc.control" grep -qx "module_pathname = 'cdc'" "$prefix/share/extension/cdc.control"
	check "libprotobuf-c is linked in" not grep -q protobuf-c <(ldd "$prefix/lib/cdc.so")
	check "and not shown to others" not grep -q protobuf_c_ <(nm -D --defined-only "$prefix/lib/cdc.so")
	check "all else is there with the server" not grep -q 'not found' <(ldd "$prefix/lib/cdc.so")

	as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
	chown postgres: "$work"
	cd "$work"
	as initdb -D "$work/data" -A trust --no-locale -E UTF8 --no-sync >"$work/initdb"
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$work'"
		echo "wal_level = logical"
		! prints '^output_plugin_libraries' postgres --describe-config || echo "output_plugin_libraries = 'cdc'"
		echo "extension_control_path = '\$system:$prefix/share'"
		echo "dynamic_library_path = '\$libdir:$prefix/lib'"
	} >>"$work/data/postgresql.conf"
	export PGHOST=$work PGUSER=postgres PGDATABASE=postgres
	as pg_ctl -D "$work/data" -l "$work/log" -w start >/dev/null
	trap 'as pg_ctl -D "$work/data" -m immediate stop >/dev/null' EXIT
	sql() { as psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
	check "CREATE EXTENSION" sql -c 'CREATE EXTENSION cdc'
	check "and a slot" sql -c "CREATE TABLE orders (id bigint PRIMARY KEY, customer text)" -c "SELECT cdc.create_slot('shop')" \
		-c "INSERT INTO orders VALUES (1, 'ada')" -c "ALTER TABLE orders ADD note text" -c "INSERT INTO orders VALUES (2, 'grace')"
	check "rows of before and after DDL" is "$(sql -c "SELECT string_agg(op, ' ') FROM cdc.peek('shop')")" "INSERT SCHEMA INSERT"
	check "the stream" as pg_recvlogical -d postgres --slot shop --start -f "$work/shop.bin" --endpos "$(sql -c 'SELECT pg_current_wal_lsn()')"
	check "has both" is "$(grep -aoc 'ada\|grace' "$work/shop.bin")" 2
	check "preloaded, it counts" preloaded
	as pg_ctl -D "$work/data" -m fast stop >/dev/null
	trap - EXIT
	umount "$prefix"
	rm -rf "$work" /made "$prefix"
	echo "1..$tests"
	return $failed
}
preloaded()
{
	sql -c "ALTER SYSTEM SET shared_preload_libraries = 'cdc'"
	as pg_ctl -D "$work/data" -l "$work/log" -w restart >/dev/null
	sql -c "SELECT count(*) FROM cdc.peek('shop')"
	is "$(sql -c "SELECT count(*) FROM cdc.stats WHERE slot_name = 'shop'")" 1
}

if [ "${1-}" = --inside ]; then
	inside
	exit
fi
. "$tree/scripts/folders.sh"
FOLDERS=${CDC_FOLDERS:-/var/tmp/cdc-folders}
if [ $# = 0 ]; then
	for name in sid experimental; do
		[ ! -e "$FOLDERS/matrix-$name.done" ] || set -- "$@" "$name"
	done
fi
[ $# -gt 0 ] || die "there is no folder with PostgreSQL 18 or later: scripts/matrix sid makes one"
failed=0
for name; do
	dir=$FOLDERS/matrix-$name
	[ -e "$dir.done" ] || die "there is no $dir: scripts/matrix $name makes it"
	keep_archives "$FOLDERS/archives-$name"
	rm -rf "$dir/prefix"
	mkdir "$dir/prefix"
	(. "$tree/scripts/lib.sh"; archive_tree "$tree") | tar --no-same-owner -xf - -C "$dir/prefix"
	in_folder "$dir" /prefix/test/packages/prefix.sh --inside || failed=1
	rm -rf "$dir/prefix"
done
exit $failed
