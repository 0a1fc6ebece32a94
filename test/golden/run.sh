#!/bin/bash
# Golden files: for each NAME.sql, what the plugin once made of it (NAME.pb)
# is a cdc.v1.Stream without unknown fields and still decodes to NAME.json, and
# what it makes of it now does so too, but for the members that are new in
# every run. What releases have of it is decoded, too, and has the fingerprints that its
# NAME.sql has today. Damaged copies of NAME.pb, CDC_GOLDEN_COPIES each (1000), are an error,
# never a crash. Prints TAP.
#
#   test/golden/run.sh [NAME...]

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tests=0 failed=0

same()					# DESCRIPTION WANTED FOUND
{
	tests=$((tests + 1))
	if diff -a -U 1 "$2" "$3" >"$work/diff" 2>&1; then
		echo "ok $tests - $1"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $1"
		head -40 "$work/diff" | cut -c1-400 | sed 's/^/#   /'
	fi
}

skip()					# DESCRIPTION REASON
{
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

# What a server says that was built without XML, or a cdc without a codec.
MISSING='unsupported XML feature|(lz4|zstd) is not in this build|batch is compressed by codec [0-9]+, which this build of cdc does not have'

# same(), unless the second file is what is said of something that is missing.
same_if_possible()
{
	local missing

	if missing=$(grep -m1 -oE "$MISSING" "$3"); then
		skip "$1" "$missing"
	else
		same "$@"
	fi
}

fingerprints() { grep -oE '"relation":"([^"\\]|\\.)*","fingerprint":"[0-9a-f]{16}"' "$1" | sort -u; }

# What a release has of NAME, when $work/now.json is what NAME.sql makes today.
of_releases()
{
	local name=$1 dir release

	for dir in "$here"/../release/*/golden; do
		release=$(basename "$(dirname "$dir")")
		[ -e "$dir/$name.pb" ] || continue
		decode "$dir/$name.pb" >"$work/then.json" 2>&1 || :
		same_if_possible "release $release: $name.pb decodes to $name.json" "$dir/$name.json" "$work/then.json"
		protoc -I "$here/../release/$release" --decode=cdc.v1.Stream cdc.proto <"$here/$name.pb" 2>&1 >/dev/null |
			cat >"$work/unknown" || :
		same "release $release: its .proto reads today's $name.pb" /dev/null "$work/unknown"
		if ! cmp -s "$dir/$name.sql" "$here/$name.sql"; then
			{ PGDATABASE=postgres here=$dir record "$name" "$work/now.pb" && decode "$work/now.pb"; } >"$work/now.json" 2>&1 || :
		fi
		! grep -qE "$MISSING" "$work/now.json" || continue
		comm -23 <(fingerprints "$dir/$name.json") <(fingerprints "$work/now.json") >"$work/lost"
		same "release $release: $name.sql has its fingerprints" /dev/null "$work/lost"
	done
}

decoder_database
for name in $(names "$@"); do
	rm -f "$work"/now.* "$work/then.json"
	decode "$here/$name.pb" >"$work/then.json" 2>&1 || :
	protoc -I "$here/../../proto" --decode=cdc.v1.Stream cdc/v1/cdc.proto <"$here/$name.pb" 2>&1 |
		grep -E '^ *[0-9]+[: ]|[Ff]ailed|rror' >"$work/unknown" || :
	same "$name.pb is a Stream to protoc" /dev/null "$work/unknown"
	same_if_possible "$name.pb decodes to $name.json" "$here/$name.json" "$work/then.json"
	damage "$here/$name.pb" >"$work/damage" 2>&1 || :
	same_if_possible "damaged copies of $name.pb are told to be" /dev/null "$work/damage"
	{ PGDATABASE=postgres record "$name" "$work/now.pb" && decode "$work/now.pb"; } >"$work/now.json" 2>&1 || :
	"$here/normalize.py" <"$here/$name.json" >"$work/then"
	"$here/normalize.py" <"$work/now.json" >"$work/now"
	same_if_possible "$name.sql gives the same today" "$work/then" "$work/now"
	of_releases "$name"
done
PGDATABASE=postgres sql -c 'DROP DATABASE golden_decode'
echo "1..$tests"
[ $failed = 0 ]
