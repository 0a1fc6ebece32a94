#!/bin/bash
# The private installation that scripts/ build into shares no file with a cdc that is
# installed in the system: nothing that is written there goes through a link. On a made-up
# PostgreSQL.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
system=$work/system
for dir in bin lib/bitcode/cdc/src lib/bitcode/plpgsql share/extension include lib64; do mkdir -p "$system/$dir"; done
cat >"$system/bin/pg_config" <<'P'
#!/bin/bash
root=$(cd "$(dirname "$0")/.." && pwd)
case $1 in
	--bindir) echo "$root/bin" ;;
	--pkglibdir) echo "$root/lib" ;;
	--sharedir) echo "$root/share" ;;
	--libdir) echo "$root/lib64" ;;
	*) echo "$root/include" ;;
esac
P
chmod +x "$system/bin/pg_config"
theirs=(lib/cdc.so lib/bitcode/cdc.index.bc lib/bitcode/cdc/src/cdc.bc share/extension/cdc.control share/extension/cdc--1.0.sql)
for file in "${theirs[@]}" lib/plpgsql.so lib/bitcode/plpgsql/pl.bc share/extension/plpgsql.control; do
	echo theirs >"$system/$file"
done

fail() { echo "not ok - $*"; exit 1; }
WORK=$work PG_CONFIG=$system/bin/pg_config
mkdir -p "$work/pg$system"
# a program that is moved says where it is now
bash -c '. scripts/lib.sh; WORK=$1 PG_CONFIG=$2; shadow_installation' _ "$work" "$PG_CONFIG"
shadow=$work/pg$system
[ -e "$shadow/lib/plpgsql.so" ] || fail "the rest of the installation is there"
for file in "${theirs[@]}"; do
	[ ! -e "$shadow/$file" ] || fail "$file of the system's cdc is in the private installation"
	mkdir -p "$(dirname "$shadow/$file")"
	echo ours >"$shadow/$file"
	[ "$(cat "$system/$file")" = theirs ] || fail "$file was written through a link"
done
echo "ok - nothing is shared with an installed cdc"
