#!/bin/bash
# scripts/tarball gives the same bytes in another folder, at another time, with another umask and
# nothing of the first build at hand; and what it gives runs alone. Prints TAP. Needs the network,
# or modules that are there.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

tests=0 failed=0
check()					# NAME COMMAND...
{
	local name=$1

	shift
	tests=$((tests + 1))
	if "$@" >"$work/log" 2>&1; then
		echo "ok $tests - $name"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $name"
		tail -n 20 "$work/log" | sed 's/^/# /'
	fi
}
copy() { mkdir -p "$1" && (. "$tree/scripts/lib.sh"; archive_tree "$tree") | tar --no-same-owner -xf - -C "$1"; }

copy "$work/a"
copy "$work/another/folder/b"
mkdir "$work/1" "$work/2"
first() { "$work/a/scripts/tarball" "$work/1"; }
second()
{
	(umask 077; find "$work/another" -exec touch -d '2 days ago' {} +
	 TZ=Asia/Tokyo LANG=de_DE.UTF-8 GOCACHE=$work/cache "$work/another/folder/b/scripts/tarball" "$work/2")
}
check "it is built" first
check "and again, elsewhere" second
archive=$(cd "$work/1" && ls)
check "to the same bytes" cmp "$work/1/$archive" "$work/2/$archive"
tar -xzf "$work/1/$archive" -C "$work"
dir=$work/${archive%.tar.gz}
check "files belong to nobody's account" test -z "$(tar --numeric-owner -tvzf "$work/1/$archive" | awk '$2 != "0/0"')"
check "and are of the time of the changelog" test "$(tar -tvzf "$work/1/$archive" | awk '{ print $4 }' | sort -u | wc -l)" = 1
for program in cdc-relay cdc-tail; do
	check "$program is static" grep -q 'not a dynamic executable\|statically linked' <(ldd "$dir/bin/$program" 2>&1)
	check "$program names no folder of the build" test "$(grep -c "$work" "$dir/bin/$program")" = 0
	check "$program runs" "$dir/bin/$program" --help
done
check "the licences of what is linked in are there" test "$(grep -c '^Permission is hereby granted\|Apache License\|Redistribution and use' "$dir/THIRD-PARTY")" -ge 10
check "each module has one" awk '/^=+$/ { if (n) bad = bad name "\n"; getline name; n = 2; next } NF && n { n = 0 } END { if (n || bad) { printf "%s", bad; exit 1 } }' "$dir/THIRD-PARTY"
echo "1..$tests"
[ $failed = 0 ]
