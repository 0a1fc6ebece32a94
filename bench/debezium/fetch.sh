#!/bin/bash
# Prints a folder with Kafka Connect (libs) and Debezium's connector (plugins), which are fetched into
# a cache by Maven and checked against SHA256SUMS. Exit status 77, with the reason on standard error,
# where nothing can be fetched.
#
# CDC_TOOLCHAINS: the cache, by default in ~/.cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

ARTIFACT=io.debezium:debezium-connector-postgres:3.6.1.Final:tar.gz:plugin

skip() { echo "no Debezium: $*" >&2; exit 77; }

command -v java >/dev/null || skip "there is no java"
folder=${CDC_TOOLCHAINS:-${XDG_CACHE_HOME:-$HOME/.cache}/cdc}/debezium-3.6.1
if [ ! -d "$folder" ]; then
	command -v mvn >/dev/null || skip "there is no mvn"
	mkdir -p "$(dirname "$folder")" || skip "$folder cannot be made"
	work=$(mktemp -d "$folder-XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/libs" -DincludeScope=runtime >"$work/log" 2>&1 &&
		mvn -q -B dependency:copy -Dartifact=$ARTIFACT -DoutputDirectory="$work" >>"$work/log" 2>&1 ||
		skip "Maven cannot fetch it: $(tail -n 1 "$work/log")"
	mkdir "$work/plugins"
	tar -xzf "$work"/debezium-connector-postgres-*-plugin.tar.gz -C "$work/plugins"
	rm "$work/log"
	mv "$work" "$folder"
fi
(cd "$folder" && sha256sum --check --status "$here/SHA256SUMS") ||
	{ echo "what is in $folder is not what is expected" >&2; exit 1; }
echo "$folder"
