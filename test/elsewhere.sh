#!/bin/bash
# The install script is put together where make runs, which need not be the tree: also from
# an unpacked archive, which has a script already. Nothing is compiled. Prints TAP.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree/src" "$work/build"
cp -r Makefile cdc.control install proto "$work/tree/"
version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" cdc.control)
script=cdc--$version.sql
# it is newer than its parts
echo "-- of an archive" >"$work/tree/$script"
touch -d '+1 hour' "$work/tree/$script"

elsewhere() { make -s --no-print-directory -C "$work/build" -f ../tree/Makefile PG_CONFIG="${PG_CONFIG:-pg_config}" "$@"; }
tests=0 failed=0
result()				# NAME STATUS
{
	tests=$((tests + 1))
	[ "$2" = 0 ] && echo "ok $tests - $1" || { failed=1; echo "not ok $tests - $1"; }
}
check() { local name=$1 rc=0; shift; "$@" >"$work/out" 2>&1 || { rc=$?; sed 's/^/# /' "$work/out"; }; result "$name" $rc; }

check "the script is put together" elsewhere "$work/build/$script"
lines=$(cat install/*.sql | wc -l) parts=(install/*.sql)
check "it has all lines, and an empty one between two parts" \
	[ "$(wc -l <"$work/build/$script")" = $((lines + ${#parts[@]} - 1)) ]
check "it begins with its own schema" grep -q '^CREATE SCHEMA cdc;' <(sed -n 1,10p "$work/build/$script")
elsewhere -n install >"$work/install" 2>&1 || :
check "it, and no other, is installed" grep -qE "(^| )$work/build/$script( |$)" "$work/install"
check "the tree's is as it was" grep -qx -- "-- of an archive" "$work/tree/$script"
check "the numbers of columns are made" elsewhere src/cdc/columns.h
check "of all tables" [ "$(grep -c Natts_ "$work/build/src/cdc/columns.h")" = "$(grep -c '^CREATE TABLE cdc\.' "$work/build/$script")" ]
before=$(stat -c %y "$work/build/src/cdc/columns.h")
echo '-- more' >>"$work/tree/install/end.sql"
elsewhere src/cdc/columns.h
check "and stay as they are where no table changes" [ "$before" = "$(stat -c %y "$work/build/src/cdc/columns.h")" ]
cp install/end.sql "$work/tree/install/stray.sql"
check "a part that the Makefile does not list is an error" grep -q 'SQL_PARTS' <(elsewhere -n install 2>&1)
echo "1..$tests"
exit $failed
