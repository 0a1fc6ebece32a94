#!/bin/bash
# Prints the directory of a go command that is new enough for clients/go, or for what
# CDC_GO_MINOR names: one of
# the PATH, of /usr/local/go, or one that is fetched into a cache and checked
# against the hash below. Exit status 77, with the reason on standard error, where
# there is none and none can be had.
#
#   go=$(scripts/toolchain-go.sh)/go
#
# CDC_TOOLCHAINS: the cache, by default in ~/.cache. CDC_GO_URL: where the archive
# is, a directory of the Go module proxy's protocol.
set -euo pipefail

NEEDED=${CDC_GO_MINOR:-25}		# go 1.25
VERSION=v0.0.1-go1.26.8
declare -A SHA256=(
	[linux-amd64]=30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7
)

skip() { echo "no Go 1.$NEEDED: $*" >&2; exit 77; }

# new_enough GO: asked outside of modules, which could switch to another version.
new_enough()
{
	local version

	version=$(cd / && GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
	[[ $version =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge $NEEDED ]
}

for go in "$(command -v go || :)" /usr/local/go/bin/go; do
	if [ -x "$go" ] && new_enough "$go"; then
		dirname "$go"
		exit
	fi
done

case $(uname -s)-$(uname -m) in
	Linux-x86_64) platform=linux-amd64 ;;
	*) skip "the archive for $(uname -s) on $(uname -m) is not known here; please install it" ;;
esac
cache=${CDC_TOOLCHAINS:-${XDG_CACHE_HOME:-$HOME/.cache}/cdc}
home=$cache/golang.org/toolchain@$VERSION.$platform
if [ ! -x "$home/bin/go" ]; then
	command -v python3 >/dev/null || skip "python3 is needed to unpack an archive"
	mkdir -p "$cache" || skip "$cache cannot be made"
	work=$(mktemp -d "$cache/fetch-XXXXXX")
	trap 'rm -rf "$work"' EXIT
	url=${CDC_GO_URL:-https://proxy.golang.org/golang.org/toolchain/@v}/$VERSION.$platform.zip
	python3 - "$url" "$work/go.zip" <<-'END' || skip "$url cannot be fetched"
		import shutil, sys, urllib.request
		try:
		    with urllib.request.urlopen(sys.argv[1], timeout=60) as source, open(sys.argv[2], "wb") as target:
		        shutil.copyfileobj(source, target)
		except Exception as e:
		    sys.exit(str(e))
	END
	echo "${SHA256[$platform]}  $work/go.zip" | sha256sum --check --status ||
		{ echo "the archive of $url is not the one that is expected" >&2; exit 1; }
	python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])' "$work/go.zip" "$work"
	chmod -R u+rX "$work/golang.org"
	chmod +x "$work/golang.org/toolchain@$VERSION.$platform"/{bin,pkg/tool/*}/*
	mkdir -p "$cache/golang.org"
	mv "$work/golang.org/toolchain@$VERSION.$platform" "$home"
fi
echo "$home/bin"
