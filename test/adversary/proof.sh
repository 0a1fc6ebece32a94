#!/bin/bash
# Shows that the adversary would notice: puts each fault in faults/*.patch back, one at
# a time, and expects some seed to fail as the patch says; seeds that fail without any do
# not count. Usage:
#
#   test/adversary/proof.sh [FAULT...]      make adversary-proof
#
# Runs on the private installation of scripts/check, which the patched builds go to.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" adversary-faults "$@"

: "${CDC_ADVERSARY_STEPS:=1000}" "${CDC_PROOF_SEEDS:=1,2 3,4 5,6 7,8}"
export CDC_ADVERSARY_STEPS
[ $# -gt 0 ] || set -- $(cd "$here/faults" && ls *.patch | sed 's/\.patch$//')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 n=0

install_from()
{
	make -s -C "$1" -j2 with_llvm=no PG_CONFIG="$PG_CONFIG" all install >"$work/log" 2>&1 ||
		{ cat "$work/log"; return 1; }
}

# What these seeds find without a fault would prove nothing.
sound=
for seeds in $CDC_PROOF_SEEDS; do
	if "$here/run.sh" ${seeds//,/ } >"$work/out" 2>&1; then
		sound="$sound $seeds"
	else
		echo "# left out, for they fail without a fault: $seeds"
		sed 's/^/# /' "$work/out" | cut -c1-200 | sed -n 1,6p
	fi
done
CDC_PROOF_SEEDS=$sound

for fault; do
	n=$((n + 1))
	rm -rf "$work/tree"
	mkdir "$work/tree"
	# with what is built, which saves most of the time
	cp -a "$root/." "$work/tree"
	found= why= want=$(sed -n 's/^Finds: //p' "$here/faults/$fault.patch")
	if ! patch -s -d "$work/tree" -p1 <"$here/faults/$fault.patch" || ! install_from "$work/tree"; then
		why="the patch does not apply, or does not build"
	else
		for seeds in $CDC_PROOF_SEEDS; do
			if ! "$here/run.sh" ${seeds//,/ } >"$work/out" 2>&1 && grep -q "^#.*$want" "$work/out"; then
				found=$(sed -n 's/^not ok - seed \([0-9]*\).*/\1/p' "$work/out" | paste -sd' ')
				break
			fi
		done
	fi
	if [ -n "$found" ]; then
		echo "ok $n - $fault: found by seed $found"
		sed -n '/^not ok/,/^# the last/s/^/# /p' "$work/out" | cut -c1-200 | sed -n 1,6p
	else
		echo "not ok $n - $fault: ${why:-no seed of $CDC_PROOF_SEEDS finds it}"
		failed=1
	fi
done
install_from "$root"
echo "1..$n"
exit $failed
