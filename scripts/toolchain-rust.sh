#!/bin/bash
# Prints the directory of a Rust toolchain (cargo, rustc, clippy, rustfmt) that is
# new enough, for the PATH. Usage:
#
#   scripts/toolchain-rust.sh            one that is there, or fetched
#   scripts/toolchain-rust.sh --share    one that every user of the machine can
#                                        run: for root, before it gives up root
#
# It looks in the PATH, in $CARGO_HOME/bin, ~/.cargo/bin and /root/.cargo/bin, and
# in a cache (CDC_CACHE, by default /var/tmp/cdc-cache-USER). What is fetched, by
# rustup, goes there. Exit status 77, and a line that says why, where there is none.
set -euo pipefail

oldest=1.85
cache=${CDC_CACHE:-/var/tmp/cdc-cache-$(id -un)}/rust
shared=/var/tmp/cdc-cache-shared/rust

# new_enough DIR: DIR/cargo and its friends run, and are not too old.
new_enough()
{
	local version

	[ -x "$1/cargo" ] && [ -x "$1/rustc" ] || return 1
	version=$(PATH=$1:$PATH "$1/cargo" --version 2>/dev/null | cut -d' ' -f2) || return 1
	[ "$(printf '%s\n' $oldest "$version" | sort -V | head -1)" = $oldest ] || return 1
	PATH=$1:$PATH "$1/cargo" clippy --version >/dev/null 2>&1 &&
		PATH=$1:$PATH "$1/cargo" fmt --version >/dev/null 2>&1
}

# Whether the shared copy is root's, with the directory that it is in.
shared_is_roots()
{
	[ "$(stat -c %u "$shared" "$(dirname "$shared")" 2>/dev/null | sort -u)" = 0 ]
}

found()
{
	local dir candidates=("$(dirname "$(command -v cargo || echo /nonexistent/cargo)")"
		"${CARGO_HOME:-/nonexistent}/bin" "${HOME:-/nonexistent}/.cargo/bin" /root/.cargo/bin)

	# of what lies where anybody can write, only what is ours; of the shared one
	# only what root has made
	[ ! -O "$cache" ] || candidates+=("$cache/bin" "$cache/cargo/bin")
	! shared_is_roots || candidates+=("$shared/bin")
	for dir in "${candidates[@]}"; do
		if new_enough "$dir"; then
			# what is behind rustup's proxies, which need their owner's settings
			dirname "$(PATH=$dir:$PATH rustc --print sysroot)/bin/."
			return
		fi
	done
	return 1
}

fetch()
{
	local url arch

	command -v curl >/dev/null || { echo "curl, to fetch rustup, is not installed" >&2; return 1; }
	arch=$(uname -m)-unknown-linux-gnu
	url=https://static.rust-lang.org/rustup/dist/$arch/rustup-init
	mkdir -p "$cache"
	[ -O "$cache" ] && [ -O "$(dirname "$cache")" ] || { echo "$cache belongs to somebody else" >&2; return 1; }
	curl -fsS --retry 2 --max-time 120 -o "$cache/rustup-init" "$url" || return 1
	chmod +x "$cache/rustup-init"
	RUSTUP_HOME=$cache/rustup CARGO_HOME=$cache/cargo "$cache/rustup-init" -q -y --no-modify-path \
		--profile minimal --component clippy,rustfmt --default-toolchain stable >/dev/null || return 1
	dirname "$(ls -d "$cache"/rustup/toolchains/*/bin | head -1)/."
}

# A copy of what a toolchain needs to run, for everybody.
share()
{
	local sysroot

	sysroot=$(dirname "$1")
	if ! shared_is_roots || ! new_enough "$shared/bin"; then
		rm -rf "$(dirname "$shared")"
		mkdir -p "$shared"
		(cd "$sysroot" && tar --exclude=lib/rustlib/src --exclude='*/doc' --exclude='rust-analyzer*' \
			--exclude='*miri*' -cf - bin lib libexec 2>/dev/null || :) | tar --no-same-owner -xf - -C "$shared"
		chmod -R a+rX "$shared" "$(dirname "$shared")"
	fi
	echo "$shared/bin"
}

dir=$(found || fetch) || {
	echo "no Rust $oldest or newer is installed, and none could be fetched" >&2
	exit 77
}
[ "${1-}" != --share ] || dir=$(share "$dir")
echo "$dir"
