#!/bin/bash
# The wire format's definition: read by every code generator that is here, and
# every field of it explained. Output is TAP.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PROTO=cdc/v1/cdc.proto
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

n=0 failed=0
report()		# report STATUS NAME
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' "$out/messages"
		failed=1
	fi
}

generate()		# generate NAME COMMAND...
{
	local name=$1 rc=0

	shift
	mkdir -p "$out/$name"
	"$@" >"$out/messages" 2>&1 || rc=$?
	[ ! -s "$out/messages" ] || rc=1		# a warning is a failure
	report $rc "$name"
}

generate descriptor protoc -Iproto --include_source_info --descriptor_set_out="$out/descriptor/set" $PROTO
generate C protoc -Iproto --c_out="$out/C" $PROTO
known=$(protoc --help)
for language in cpp csharp java kotlin objc php pyi python ruby; do
	if [[ $known == *"--${language}_out="* ]]; then
		generate $language protoc -Iproto --${language}_out="$out/$language" $PROTO
	fi
done
for language in go rust prost; do
	if command -v protoc-gen-$language >/dev/null; then
		generate $language protoc -Iproto --${language}_out="$out/$language" $PROTO
	fi
done

rc=0
python3 test/proto_comments.py "$out/descriptor/set" >"$out/messages" 2>&1 || rc=$?
report $rc 'every field is explained, and numbered as the rules say'

# What was released is read by what is here, and reads what is written here.
compatible()			# compatible NAME ARGUMENTS...
{
	local name=$1 rc=0

	shift
	python3 -B test/release/proto.py "$@" >"$out/messages" 2>&1 || rc=$?
	report $rc "$name"
}
compatible 'what would break readers is found' --proof
for old in test/release/*/cdc.proto; do
	compatible "compatible with release $(basename "$(dirname "$old")")" "$old" "proto/$PROTO"
done

echo "1..$n"
exit $failed
