#!/bin/bash
# Shows that the adversary would notice: puts each fault in faults/*.patch back, one at
# a time, and expects some seed to fail. Without a patch the same seeds must not. Usage:
#
#   test/adversary/proof.sh [FAULT...]      make adversary-proof
#
# Runs on the private installation of scripts/check, which the patched builds go to.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

[ -n "${PGHOST-}" ] || exec "$root/scripts/check" adversary-proof "$@"

: "${CDC_ADVERSARY_STEPS:=1000}" "${CDC_PROOF_SEEDS:=1 2 3 4 5 6 7 8}"
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

for fault; do
	n=$((n + 1))
	rm -rf "$work/tree"
	mkdir "$work/tree"
	# with what is built, which saves most of the time
	cp -a "$root/." "$work/tree"
	found= why=
	if ! patch -s -d "$work/tree" -p1 <"$here/faults/$fault.patch" || ! install_from "$work/tree"; then
		why="the patch does not apply, or does not build"
	else
		for seed in $CDC_PROOF_SEEDS; do
			if ! "$here/run.sh" "$seed" >"$work/out"; then
				found=$seed
				break
			fi
		done
	fi
	if [ -n "$found" ]; then
		echo "ok $n - $fault: found by seed $found"
		sed -n '2,6s/^/# /p' "$work/out"
	else
		echo "not ok $n - $fault: ${why:-no seed of $CDC_PROOF_SEEDS finds it}"
		failed=1
	fi
done
install_from "$root"
echo "1..$n"
exit $failed
