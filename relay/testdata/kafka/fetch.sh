#!/bin/bash
# Prints a folder with the jars of Apache Kafka, which is fetched into a cache by Maven and
# checked against SHA256SUMS. Exit status 77, with the reason on standard error, where there is
# no Java or Maven, or nothing can be fetched.
#
# CDC_TOOLCHAINS: the cache, by default in ~/.cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

skip() { echo "no Kafka: $*" >&2; exit 77; }

command -v java >/dev/null || skip "there is no java"
libs=${CDC_TOOLCHAINS:-${XDG_CACHE_HOME:-$HOME/.cache}/cdc}/kafka-4.2.0
if [ ! -d "$libs" ]; then
	command -v mvn >/dev/null || skip "there is no mvn"
	mkdir -p "$(dirname "$libs")" || skip "$libs cannot be made"
	work=$(mktemp -d "$libs-XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work" -DincludeScope=runtime >"$work/log" 2>&1 ||
		skip "Maven cannot fetch it: $(tail -n 1 "$work/log")"
	rm "$work/log"
	mv "$work" "$libs"
fi
(cd "$libs" && sha256sum --check --status "$here/SHA256SUMS") ||
	{ echo "the jars in $libs are not those that are expected" >&2; exit 1; }
echo "$libs"
