#!/bin/bash
# What a tag would publish can be used by others: modules of Go by `go get` and `go install` out of a proxy in a folder, the
# crate as cargo packages it. Programs that know nothing of this tree are compiled with them, and run. Prints TAP.
#
#   test/release/publish.sh [go] [rust]
#
# The toolchains are those of scripts/toolchain-*.sh; without one its half is skipped. Modules and crates of
# others come from where they always come from. CARGO_TARGET_DIR, GOCACHE: what is compiled is kept there.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
version=$("$root/scripts/versions" --version).0
home=$(sed -n 's,^HOME_URL = https://,,p' "$root/Makefile")
tests=0 failed=0

step()					# DESCRIPTION COMMAND...
{
	local what=$1 rc

	shift
	tests=$((tests + 1))
	# in a condition, set -e would be ignored
	set +e
	(set -e; "$@") >"$work/out" 2>&1
	rc=$?
	set -e
	if [ $rc = 0 ]; then
		echo "ok $tests - $what"
	else
		failed=1
		echo "not ok $tests - $what"
		tail -40 "$work/out" | cut -c1-300 | sed 's/^/#   /'
	fi
}
skip() { tests=$((tests + 1)); echo "ok $tests - $1 # SKIP no toolchain"; }

# --- Go ---------------------------------------------------------------------

go_program()
{
	mkdir "$work/reader" && cd "$work/reader"
	cat >main.go <<-END
		package main

		import (
			"fmt"

			"$home/clients/go"
			"$home/clients/go/cdcotel"
			"$home/clients/go/cdcprom"
			"$home/clients/go/replica"
		)

		func main() {
			_ = cdc.Config{Slot: "s", Metrics: cdcprom.New(nil)}
			_ = replica.Applier{}
			fmt.Println(cdc.Version, len(cdcotel.Links(nil)))
		}
	END
	go mod init reader.invalid
	go get "$home/clients/go@v$version" "$home/clients/go/cdcprom@v$version" "$home/clients/go/cdcotel@v$version"
	go mod tidy
	! grep replace go.mod
	go vet ./...
	test "$(go run .)" = "$version 0"
}
go_command()
{
	GOBIN=$work/bin go install "$home/clients/go/cmd/cdc-tail@v$version"
	test "$("$work/bin/cdc-tail" --version)" = "cdc-tail $version"
}
go_relay()
{
	mkdir "$work/relay" && cd "$work/relay"
	go mod init relay.invalid
	go get -tool "$home/relay/cmd/cdc-relay@v$version"
	test "$(go tool cdc-relay version)" = "cdc-relay $version"
}
go_license() { ls "$GOMODCACHE/$home/clients/go@v$version/LICENSE" "$GOMODCACHE/$home/clients/go/cdcprom@v$version/README.md"; }
go_same()
{
	python3 -B "$root/scripts/ship/goproxy.py" "$work/again"
	diff -r "$work/proxy" "$work/again"
}
check_go()
{
	local bin

	bin=$(CDC_GO_MINOR=26 "$root/scripts/toolchain-go.sh") || { skip 'modules of Go'; return 0; }
	export PATH=$bin:$PATH GOTOOLCHAIN=local GOFLAGS=-mod=mod
	# what is there already of others is taken from there; in a cache of our own there is nothing of ours from elsewhere
	GOPROXY="file://$work/proxy,file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)"
	GONOSUMDB="$home,$home/*" GOMODCACHE=$work/mod
	export GOPROXY GONOSUMDB GOMODCACHE
	step 'modules of Go are made' python3 -B "$root/scripts/ship/goproxy.py" "$work/proxy"
	step 'they are equal to the byte when they are made again' go_same
	step 'a program gets them, compiles and runs' go_program
	step 'go install gives cdc-tail' go_command
	step 'go get -tool gives cdc-relay' go_relay
	step 'they have the licence and a README' go_license
}

# --- Rust -------------------------------------------------------------------

crate="$work/pgcdc-$version"

rust_package()
{
	cd "$root/clients/rust"
	cargo package --locked --allow-dirty --no-verify --target-dir "$work/package" >"$work/packaged" 2>&1 || { cat "$work/packaged"; return 1; }
	tar -xzf "$work/package/package/pgcdc-$version.crate" -C "$work"
}
rust_list()
{
	(cd "$crate" && find . -type f | sed 's,^\./,,' | sort) >"$work/list"
	! grep -E '^(bench-compare|examples-bus|examples-observability|fuzz|codegen|target)/' "$work/list"
	for file in LICENSE README.md Cargo.toml Cargo.lock src/lib.rs src/pb/cdc.v1.rs; do grep -x "$file" "$work/list"; done
	cmp "$crate/LICENSE" "$root/LICENSE"
}
rust_program()
{
	cd "$work"
	cargo new --quiet --vcs none consumer && cd consumer
	cargo add --quiet --path "$crate"
	cat >src/main.rs <<-END
		use pgcdc::{ConnectConfig, StreamConfig};

		fn main() {
		    let config = StreamConfig::new(ConnectConfig::parse("host=/nowhere user=u").unwrap(), "s");
		    println!("{} {}", pgcdc::VERSION, config.create_slot);
		}
	END
	test "$(cargo run --quiet --target-dir "${CARGO_TARGET_DIR:-$work/target}")" = "$version false"
}
check_rust()
{
	local bin

	bin=$("$root/scripts/toolchain-rust.sh") || { skip 'the crate'; return 0; }
	export PATH=$bin:$PATH CARGO_TERM_COLOR=never
	step 'the crate is packaged' rust_package
	step 'without a warning' eval "! grep -i warning '$work/packaged'"
	step 'it has its files, and no others' rust_list
	step 'a program that uses it compiles and runs' rust_program
}

[ $# -gt 0 ] || set -- go rust
for language; do "check_$language"; done
echo "1..$tests"
exit $failed
