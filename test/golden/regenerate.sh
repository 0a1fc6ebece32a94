#!/bin/bash
# Makes NAME.pb and NAME.json anew from NAME.sql. Look at the difference
# before you commit it: clients decode these files too.
#
#   test/golden/regenerate.sh [NAME...]

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

decoder_database
for name in $(names "$@"); do
	PGDATABASE=postgres record "$name" "$work/$name.pb"
	decode "$work/$name.pb" >"$work/$name.json"
	cp "$work/$name.pb" "$work/$name.json" "$here/"
	echo "$name: $(wc -c <"$here/$name.pb") bytes, $(wc -l <"$here/$name.json") lines"
done
PGDATABASE=postgres sql -c 'DROP DATABASE golden_decode'
