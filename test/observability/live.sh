#!/bin/bash
# The dashboard, the alerts and traces on a set-up that is alive: a server, its exporter, consumers in Go and
# Rust, a relay, a Prometheus that scrapes them all. Output is TAP. Usage:
#
#   test/observability/live.sh          with both consumers
#   test/observability/live.sh short    without Rust
#   test/observability/live.sh stay     as the first, and it stays until standard input ends, to look at
#   test/observability/live.sh faults   ten faults, the alert that fires for each, and the panel that shows it
#
# PG_CONFIG names an installation that has the extension. CDC_GO_CACHE: a directory for modules and compiled
# packages that is kept from run to run. CDC_PROGRAMS: a folder with programs that are not to be built.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
what=${1-full}

skip() { echo "1..0 # SKIP $*"; exit 77; }
bindir=$("${PG_CONFIG:-pg_config}" --bindir)
tools=$("$here/tools.sh") || skip "no Prometheus, and none can be fetched"
go_bin=$(CDC_GO_MINOR=26 "$root/scripts/toolchain-go.sh") || skip "no Go toolchain, and none can be fetched"
rust_bin=
if [ "$what" != short ] && [ -z "${CDC_PROGRAMS-}" ]; then
	rust_bin=$("$root/scripts/toolchain-rust.sh") || echo "# no Rust toolchain: without the consumer in Rust"
fi
PATH=$tools:$go_bin:$rust_bin${rust_bin:+:}$PATH
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
if [ -n "${CDC_GO_CACHE-}" ]; then export GOMODCACHE=$CDC_GO_CACHE/mod GOCACHE=$CDC_GO_CACHE/build; fi
work=$(mktemp -d /tmp/cdc-scene-XXXXXX)	# the path of a socket is short
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM HUP
mkdir "$work/bin" "$work/scene"
[ -z "${CDC_PROGRAMS-}" ] || cp "$CDC_PROGRAMS"/* "$work/bin"

# build MODULE PACKAGE PROGRAM
build() { [ -x "$work/bin/$3" ] || (cd "$root/$1" && go build -o "$work/bin/$3" "$2") || { echo "not ok 1 - $3 compiles"; exit 1; }; }
build clients/go/cdcprom ./examples/consumer consumer
build relay ./cmd/cdc-relay cdc-relay
[ "$what" != faults ] || build relay github.com/nats-io/nats-server/v2 nats-server
if [ -n "$rust_bin" ] && [ ! -x "$work/bin/rust-traces" ]; then
	target=${CARGO_TARGET_DIR:-$work/target}
	(cd "$root/clients/rust/examples-observability" && CARGO_TARGET_DIR=$target cargo build --quiet --locked) ||
		{ echo "not ok 1 - the consumer in Rust compiles"; exit 1; }
	cp "$target/debug/consumer" "$work/bin/rust-consumer"
	cp "$target/debug/traces" "$work/bin/rust-traces"
fi
program=live.py
more=
case $what in
	faults) program=faults.py ;;
	stay) more=stay ;;
esac
python=/usr/bin/python3			# the system's first: it sees Debian's modules
"$python" -c 'import psycopg2, yaml' 2>/dev/null || python=python3
PYTHONDONTWRITEBYTECODE=1 "$python" "$here/$program" "$bindir" "$work/scene" "$work/bin" $more
