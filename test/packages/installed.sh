#!/bin/bash
# Installs the Debian packages, uses them, upgrades them beneath a consumer and a slot in which
# rows wait, and purges them. As root in a minimal Debian that can be thrown away, which is
# where scripts/package --test runs it. Prints TAP.
#
#   test/packages/installed.sh OLD NEW      directories with packages
set -euo pipefail
OLD=$1 NEW=$2
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 LANG=C.UTF-8
work=$(mktemp -d)
chmod 777 "$work"
cd "$work"

tests=0 failed=0
check()					# NAME COMMAND...
{
	local name=$1

	shift
	tests=$((tests + 1))
	if "$@" >"$work/out" 2>&1; then
		echo "ok $tests - $name"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $name"
		tail -n 40 "$work/out" | sed 's/^/# /'
	fi
}
not() { ! "$@"; }
is() { [ "$1" = "$2" ] || { echo "$1, where $2 was expected"; return 1; }; }
eventually()				# COMMAND...
{
	for _ in $(seq 150); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.2
	done
	"$@"
}
apt() { apt-get -y -o Dpkg::Use-Pty=0 --no-install-recommends "$@"; }
postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
sql() { postgres psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
cluster() { pg_ctlcluster "$MAJOR" main "$@"; }
compilers() { command -v gcc cc clang tcc go rustc make; }

apt-get -qq update
check "there is no compiler" not compilers
check "the older packages are installed, and what they need" apt install "$OLD"/*.deb
MAJOR=$(ls /usr/lib/postgresql)
check "without a compiler" not compilers
check "cdc-relay waits for its settings" test ! -e /etc/systemd/system/multi-user.target.wants/cdc-relay.service
check "its user cannot log in" grep -q '^cdc-relay:.*nologin$' /etc/passwd

# README.md, "A first stream on your own server", with a restart as there is no systemd here
cluster start
sql <<'SQL'
ALTER SYSTEM SET wal_level = logical;
SELECT 'ALTER SYSTEM SET output_plugin_libraries = ' || concat_ws(', ', nullif(setting, ''), 'cdc')
FROM pg_settings WHERE name = 'output_plugin_libraries' AND setting !~ '\mcdc\M' \gexec
CREATE DATABASE mydb;
SQL
cluster restart
sql -d mydb >"$work/first" <<'SQL'
CREATE EXTENSION cdc;
CREATE TABLE orders (id bigint PRIMARY KEY, customer text, total numeric(12,2));
ALTER TABLE orders REPLICA IDENTITY FULL;
SELECT * FROM cdc.create_slot('shop');
INSERT INTO orders VALUES (1, 'ada', 9.50);
UPDATE orders SET total = 12 WHERE id = 1;
SELECT op, relation, key, old, new FROM cdc.peek('shop');
SQL
check "the first stream shows two changes" is "$(grep -c '^INSERT|public.orders|{"id": 1}\|^UPDATE|public.orders|{"id": 1}' "$work/first")" 2
for test in stream installcheck; do
	check "debian/tests/$test" "$tree/debian/tests/$test"
done

# A relay with JetStream inside, as its service would be: by its user, with the packaged settings.
sed -i -E 's/^#(conn|slot|embedded) =/\1 =/' /etc/cdc-relay/relay.toml
install -d -o cdc-relay -g cdc-relay -m 750 /var/lib/cdc-relay
as_relay() { exec setpriv --reuid=cdc-relay --regid=cdc-relay --init-groups /usr/bin/cdc-relay "$1" --config /etc/cdc-relay/relay.toml "${@:2}"; }
relay() { (as_relay "$@"); }
relay grants --only postgres >"$work/grants.sql"
check "what cdc-relay grants prints makes its role and its slot" sql -d mydb -f "$work/grants.sql"
sql -d mydb -c "SELECT cdc.grant_read('public.orders', 'cdc-relay')" >/dev/null
check "cdc-relay check has no complaint" relay check
as_relay run 2>"$work/relay.log" &
RELAY=$!
eventually relay status >/dev/null
sql -d mydb -c "INSERT INTO orders VALUES (2, 'grace', 5)"
on_bus() { relay tail --beginning --end --json | grep -q '"grace"'; }
check "cdc-relay carries a change" eventually on_bus
kill "$RELAY"
wait "$RELAY" || :

# The upgrade, with a consumer that runs and a slot that waits
sql -d mydb -c "SELECT cdc.create_slot('waiting'), cdc.create_slot('read')" >/dev/null
consumer() { while :; do postgres cdc-tail --slot read --conninfo 'dbname=mydb' --json --ack >>"$work/read" 2>>"$work/consumer.log" || sleep 0.5; done; }
insert() { sql -d mydb -c "INSERT INTO orders SELECT i, 'of ' || i, 1 FROM generate_series($1, $2) i"; }
consumer &
CONSUMER=$!
insert 1001 1100
began=$(sql -c 'SELECT pg_postmaster_start_time()')
check "the newer packages are installed over them" apt install "$NEW"/*.deb
check "they are newer" is "$(dpkg-query -W -f '${Version}\n' cdc-relay cdc-tools "postgresql-$MAJOR-cdc" | grep -c old)" 0
check "the settings that were changed are kept" grep -q '^slot = "bus"' /etc/cdc-relay/relay.toml
check "the server was not restarted" is "$(sql -c 'SELECT pg_postmaster_start_time()')" "$began"
insert 1101 1200
cluster restart
check "ALTER EXTENSION cdc UPDATE" sql -d mydb -c 'ALTER EXTENSION cdc UPDATE'
insert 1201 1300
waiting() { sql -d mydb -c "SELECT count(*), count(DISTINCT key), min(key->>'id'), max(key->>'id') FROM cdc.peek('waiting') WHERE op = 'INSERT'"; }
check "what waited is in the slot, each row once, and what came since" is "$(waiting)" "300|300|1001|1300"
rows_read() { is "$(grep '"op":"INSERT"' "$work/read" | grep -oE '"key":\{"id":[0-9]+' | sort -u | wc -l)" 300; }
check "the consumer has all rows, those of before, of the upgrade and of the restart" eventually rows_read
kill "$CONSUMER"
wait "$CONSUMER" 2>/dev/null || :

# Purged: nothing is left of the packages, and nothing is lost of the server's
position=$(sql -c "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'waiting'")
check "the packages are purged" apt purge cdc-relay cdc-tools "postgresql-$MAJOR-cdc"
left() { find / -xdev \( -path /proc -o -path "$tree" -o -path "$work" -o -path "$OLD" -o -path "$NEW" -o -path '/var/cache/apt/*' \
	-o -path '/var/lib/postgresql/*' -o -path '/tmp/tmp.*' \) -prune -o \( -iname '*cdc*' -o -path '/etc/cdc*' \) -print; }
check "no file is left of them" is "$(left)" ""
check "nor the user" not getent passwd cdc-relay
check "nor the group" not getent group cdc-relay
check "the server starts again" cluster restart
check "it can be written to" insert 1301 1400
check "the slot is where it was" is "$(sql -c "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'waiting'")" "$position"
check "installed again" apt install "$NEW/postgresql-$MAJOR-cdc"_*.deb
check "the slot has all rows" is "$(waiting)" "400|400|1001|1400"
sql -d mydb -c "SELECT cdc.drop_slot(slot_name, force => true) FROM cdc.slots" >/dev/null
cluster stop
echo "1..$tests"
[ $failed = 0 ]
