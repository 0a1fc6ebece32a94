#!/bin/bash
# Prints a folder with prometheus, promtool and prometheus-postgres-exporter: of the PATH, or
# unpacked from Debian's packages into a cache. They are not installed, since installing them would
# start services. Exit status 77, with the reason on standard error, where they cannot be had.
#
# CDC_TOOLCHAINS: the cache, by default in ~/.cache.
set -euo pipefail

PROGRAMS="prometheus promtool prometheus-postgres-exporter"

skip() { echo "no Prometheus: $*" >&2; exit 77; }
complete() { local p; for p in $PROGRAMS; do [ -x "$1/$p" ] || return 1; done; }

for dir in ${PATH//:/ }; do
	if complete "$dir"; then echo "$dir"; exit; fi
done
command -v apt-get >/dev/null || skip "it is not in the PATH, and this is not Debian"
. /etc/os-release
folder=${CDC_TOOLCHAINS:-${XDG_CACHE_HOME:-$HOME/.cache}/cdc}/prometheus-$VERSION_CODENAME
if ! complete "$folder/usr/bin"; then
	mkdir -p "$(dirname "$folder")" || skip "$folder cannot be made"
	work=$(mktemp -d "$folder-XXXXXX")
	trap 'rm -rf "$work"' EXIT
	packages="prometheus prometheus-postgres-exporter"
	[ -z "$(apt-cache search --names-only '^promtool$')" ] || packages="$packages promtool" # from Debian 13 on
	(cd "$work" && apt-get -qq download $packages) >"$work/log" 2>&1 ||
		skip "apt cannot fetch it: $(tail -n 1 "$work/log")"
	for deb in "$work"/*.deb; do dpkg -x "$deb" "$work/unpacked"; done
	complete "$work/unpacked/usr/bin" || skip "the packages do not have it"
	rm -rf "$folder"
	mv "$work/unpacked" "$folder"
fi
echo "$folder/usr/bin"
