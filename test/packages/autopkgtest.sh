#!/bin/bash
# debian/tests by autopkgtest, in a fresh minimal Debian with the packages that scripts/package has built. Its backend is
# "null": the system is a folder that is thrown away. As root; the exit status is that of autopkgtest.
#
#   test/packages/autopkgtest.sh [SUITE [DIRECTORY]]     by default trixie; packages of /var/tmp/cdc-packages/SUITE
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$tree/scripts/folders.sh"
SUITE=${1:-trixie} DEBS=${2:-/var/tmp/cdc-packages/${1:-trixie}}
FOLDERS=${CDC_FOLDERS:-/var/tmp/cdc-folders}
compgen -G "$DEBS/*.deb" >/dev/null || die "there are no packages in $DEBS: scripts/package $SUITE makes them"
keep_archives "$FOLDERS/archives-$SUITE"
base=$FOLDERS/fresh-$SUITE
[ -e "$base.done" ] || { make_folder "$SUITE" "$base" git sudo && touch "$base.done"; }
run=$FOLDERS/run-autopkgtest-$$
trap 'rm -rf "$run"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
cp -a "$base" "$run"
mkdir "$run/tree" "$run/debs"
cp "$DEBS"/*.deb "$run/debs/"
(. "$tree/scripts/lib.sh"; archive_tree "$tree") | tar --no-same-owner -xf - -C "$run/tree"
in_folder "$run" env DEBIAN_FRONTEND=noninteractive sh -ec \
	'apt-get -qq update; apt-get -qq -y --no-install-recommends install autopkgtest' >"$run/log" 2>&1 || { tail "$run/log" >&2; die "no autopkgtest"; }
in_folder "$run" sh -c 'autopkgtest -B /debs/*.deb /tree// -- null' 2>&1
