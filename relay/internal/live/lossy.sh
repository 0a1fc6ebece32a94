#!/bin/bash
# Runs a command where the loopback delays packets and loses one of a hundred. To be started in a network
# namespace of its own; PostgreSQL's socket is a file, and is reached from there. Without a command it tells how
# packets get lost, or fails where the kernel has no way to.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

ip link set lo up
if tc qdisc add dev lo root netem delay 3ms 2ms loss 1% 2>/dev/null; then
	how="3 ms of delay, 1 % of loss"
elif nft "add table inet lossy; add chain inet lossy in { type filter hook input priority 0; }; add rule inet lossy in iifname lo numgen random mod 100 0 drop" 2>/dev/null; then
	how="1 % of loss, and no delay: the kernel has no netem"
else
	echo "the kernel has neither netem nor numgen" >&2
	exit 1
fi
if [ $# = 0 ]; then echo "$how"; else exec "$@"; fi
