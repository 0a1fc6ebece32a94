#!/bin/bash
# Runs what packaging/Containerfile says, as far as that goes without a container's tools: the
# steps of each stage, in a minimal Debian with PostgreSQL instead of the official image, and
# files copied from stage to stage. The stage of Go has this machine's Go. As root. Prints TAP.
#
#   test/packages/containerfile.sh [SUITE [MAJOR]]       by default trixie 17
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$tree/scripts/folders.sh"
SUITE=${1:-trixie} MAJOR=${2:-17}
FOLDERS=${CDC_FOLDERS:-/var/tmp/cdc-folders}
keep_archives "$FOLDERS/archives-$SUITE"
base=$FOLDERS/fresh-$SUITE
[ -e "$base.done" ] || { make_folder "$SUITE" "$base" git sudo && touch "$base.done"; }
work=$FOLDERS/run-containerfile-$$
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir "$work"

# stage NAME: its instructions, one a line, without comments.
stage() { sed 's/^ *#.*//' "$tree/packaging/Containerfile" | awk '/\\$/ { sub(/\\$/, ""); printf "%s", $0; next } NF' | awk -v name="$1" '/^FROM/ { on = $NF == name; next } on'; }

tests=0 failed=0
check()					# NAME COMMAND...
{
	local name=$1

	shift
	tests=$((tests + 1))
	if "$@" >"$work/out" 2>&1 </dev/null; then
		echo "ok $tests - $name"
	else
		failed=1
		echo "not ok $tests - $name"
		tail -n 30 "$work/out" | sed 's/^/# /'
	fi
}

# The stand-in for the image: PostgreSQL's packages, and nothing that compiles.
official()				# DIR
{
	cp -a "$base" "$1"
	in_folder "$1" env DEBIAN_FRONTEND=noninteractive sh -ec "apt-get -qq update
		mkdir -p /etc/postgresql-common; echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
		apt-get -qq -y --no-install-recommends install postgresql-$MAJOR" >"$work/log" 2>&1 || { tail "$work/log" >&2; die "no PostgreSQL $MAJOR"; }
}
run_step() { in_folder "$1" env DEBIAN_FRONTEND=noninteractive PG_MAJOR="$MAJOR" PG_CONFIG="/usr/lib/postgresql/$MAJOR/bin/pg_config" bash -euo pipefail -c "cd $2 && $3"; }
# run_stage NAME DIR: RUN and WORKDIR, and COPY out of the tree.
run_stage()
{
	local name=$1 dir=$2 where=/ word rest n=0

	while read -r word rest; do
		case $word in
			RUN) n=$((n + 1)); check "$name: RUN $n" run_step "$dir" "$where" "$rest" ;;
			WORKDIR) where=$rest ;;
			COPY) [ "$rest" != ". /src" ] || { mkdir -p "$dir/src" && (. "$tree/scripts/lib.sh"; archive_tree "$tree") | tar --no-same-owner -xf - -C "$dir/src"; } ;;
		esac
	done < <(stage "$name")
}

official "$work/build"
cp -a "$work/build" "$work/postgres"
in_folder "$work/build" apt-get -qq update
leave_out_llvm "$work/build" "$MAJOR"
run_stage build "$work/build"
run_stage postgres "$work/postgres"
cp -a "$work/build/out/." "$work/postgres/"
cat >"$work/postgres/try" <<'END'
set -euo pipefail
chown postgres: /opt
cd /opt
as() { runuser -u postgres -- env PATH="/usr/lib/postgresql/$1/bin:$PATH" "${@:2}"; }
as "$1" initdb -D /opt/data -A trust --no-sync >/dev/null
printf "wal_level = logical\nlisten_addresses = ''\nunix_socket_directories = '/opt'\n" >>/opt/data/postgresql.conf
! grep -q '^output_plugin_libraries' <<<"$(as "$1" postgres --describe-config)" || echo "output_plugin_libraries = 'cdc'" >>/opt/data/postgresql.conf
as "$1" pg_ctl -D /opt/data -l /opt/log -w start >/dev/null
as "$1" psql -XAtq -h /opt -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION cdc' -c "SELECT cdc.create_slot('s')" -c 'CREATE TABLE t (a int PRIMARY KEY)' \
	-c 'INSERT INTO t VALUES (1)' -c "SELECT op FROM cdc.peek('s') WHERE op = 'INSERT'" | grep -qx INSERT
as "$1" pg_ctl -D /opt/data -m fast stop >/dev/null
END
check "postgres: a slot shows a row" in_folder "$work/postgres" bash /try "$MAJOR"
check "postgres: no compiler" in_folder "$work/postgres" sh -c '! command -v gcc'

# The stage of Go, here; and the image from scratch, in which there is nothing else.
check "build-relay: RUN" "$tree/scripts/tarball" --binaries "$work/go"
mkdir -p "$work/scratch/usr/bin" "$work/scratch/proc"
cp "$work/go/cdc-relay" "$work/scratch/usr/bin/"
check "relay: it runs with nothing beside it" unshare --mount chroot "$work/scratch" /usr/bin/cdc-relay help
echo "1..$tests"
[ $failed = 0 ]
