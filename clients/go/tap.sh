# Shared by check.sh and long.sh; to be sourced by bash. Finds Go, and prints TAP.

STATICCHECK=v0.7.0
bin=$("$root/scripts/toolchain-go.sh") || { rc=$?; [ $rc != 77 ] || echo "1..0 # SKIP no Go toolchain, and none can be fetched"; exit $rc; }
PATH=$bin:$PATH
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
if [ -n "${CDC_GO_CACHE-}" ]; then
	export GOMODCACHE=$CDC_GO_CACHE/mod GOCACHE=$CDC_GO_CACHE/build
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests=0 failed=0

result()				# ok|"not ok" DESCRIPTION
{
	tests=$((tests + 1))
	echo "$1 $tests - $2"
	[ "$1" = ok ] || failed=$((failed + 1))
}

# step DESCRIPTION COMMAND...
step()
{
	local what=$1

	shift
	if "$@" >"$work/out" 2>&1; then
		result ok "$what"
	else
		result "not ok" "$what"
		tail -40 "$work/out" | cut -c1-400 | sed 's/^/#   /'
	fi
}

# What is needed from elsewhere, so that a lack of it is told apart from failures.
fetch()
{
	go mod download && go mod verify &&
		GOBIN=$work/bin go install "honnef.co/go/tools/cmd/staticcheck@$STATICCHECK"
}
staticcheck() { "$work/bin/staticcheck" "$@"; }

# gotests NAME ARGUMENTS...: go test, with a line for each test and subtest.
gotests()
{
	local what=$1 rc=0 line

	shift
	go test -v "$@" >"$work/tests" 2>&1 || rc=$?
	while IFS= read -r line; do
		set -- $line
		case $line in
			"--- PASS: "*) result ok "$3" ;;
			"--- FAIL: "*) result "not ok" "$3" ;;
			"--- SKIP: "*) result ok "$3 # SKIP $(grep -A1 -F -- "$line" "$work/tests" | sed -n '2s/^ *//p')" ;;
		esac
	done < <(grep -E '^--- (PASS|FAIL|SKIP): ' "$work/tests")
	if [ $rc = 0 ]; then
		result ok "$what"
	else
		result "not ok" "$what"
		# what a test has printed stands between its RUN and its FAIL
		{ grep -hE -B15 '^ *--- FAIL|^panic|DATA RACE|^# |^FAIL' "$work/tests" || tail -40 "$work/tests"; } |
			grep -vE '^ *(=== |--- PASS)' | head -120 | cut -c1-400 | sed 's/^/#   /'
	fi
}

finish()
{
	echo "1..$tests"
	[ $failed = 0 ]
}
