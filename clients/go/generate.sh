#!/bin/bash
# Generates package cdcv1 from the repository's .proto into a directory, by
# default the package's own. Needs protoc; the generator comes with go.mod.
#
#   ./generate.sh [DIRECTORY]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=${1:-cdcv1}
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
go build -o "$tools/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go
# The version of protoc is the machine's, and says nothing about the code.
PATH=$tools:$PATH protoc -I ../../proto --go_out="$tools" --go_opt=paths=source_relative cdc/v1/cdc.proto
sed '/^\/\/ *\(versions:\|[\t ]*protoc\(-gen-go\)\? *v[0-9]\)/d' "$tools/cdc/v1/cdc.pb.go" >"$out/cdc.pb.go"
