#!/bin/bash
# Makes the generated code anew: of cdc.proto, and of the rows of the examples.
# With --check says whether what is committed is the same. Needs protoc.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=..
if [ "${1-}" = --check ]; then
	out=$(mktemp -d)
	trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out/src/pb" "$out/examples/rows"
cargo build -q
codegen=${CARGO_TARGET_DIR:-target}/debug/codegen
"$codegen" "$out/src/pb" cdc/v1/cdc.proto ../../../proto
"$codegen" "$out/examples/rows" orders.proto ../../../proto ../examples/rows
if [ "$out" != .. ]; then
	diff -r "$out/src/pb" ../src/pb
	diff -r --exclude='*.proto' "$out/examples/rows" ../examples/rows
fi
