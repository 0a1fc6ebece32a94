#!/bin/bash
# Generates package cdcv1 from the repository's .proto, and the example's rows
# from what cdc.proto() gave, into this directory or another one. Needs protoc;
# the generator comes with go.mod.
#
#   ./generate.sh [DIRECTORY]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=${1:-.}
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
go build -o "$tools/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go

# generate DIRECTORY PROTO [OPTION...]
generate()
{
	local dir=$1 proto=$2 made=$tools/${2%.proto}.pb.go

	shift 2
	PATH=$tools:$PATH protoc -I ../../proto -I examples/typed/rows --go_out="$tools" \
		--go_opt=paths=source_relative "$@" "$proto"
	mkdir -p "$out/$dir"
	# The version of protoc is the machine's, and says nothing about the code.
	sed '/^\/\/ *\(versions:\|[\t ]*protoc\(-gen-go\)\? *v[0-9]\)/d' "$made" >"$out/$dir/$(basename "$made")"
}

generate cdcv1 cdc/v1/cdc.proto
generate examples/typed/rows orders.proto --go_opt=Morders.proto=github.com/pgcdc/cdc/clients/go/examples/typed/rows
