#!/bin/bash
# Makes the generated code anew: of cdc.proto, and of the rows of the examples and
# of the comparison.
# With --check says whether what is committed is the same. Needs protoc.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=..
if [ "${1-}" = --check ]; then
	out=$(mktemp -d)
	trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out/src/pb" "$out/examples/rows" "$out/bench-compare/rows"
cargo build -q
codegen=${CARGO_TARGET_DIR:-target}/debug/codegen
"$codegen" "$out/src/pb" cdc/v1/cdc.proto ../../../proto
"$codegen" "$out/examples/rows" orders.proto ../../../proto ../examples/rows
"$codegen" "$out/bench-compare/rows" mixed.proto ../../../proto ../bench-compare/rows
if [ "$out" != .. ]; then
	diff -r "$out/src/pb" ../src/pb
	for rows in examples bench-compare; do
		diff -r --exclude='*.proto' "$out/$rows/rows" "../$rows/rows"
	done
fi
