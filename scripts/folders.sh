# Debian systems in folders, for scripts/fresh, scripts/matrix and scripts/package; to be
# sourced by bash, as root, on a Debian with debootstrap.
#
# make_folder SUITE DIR [PACKAGE]...   a minimal system of that suite
# add_suite DIR SUITE                  has apt take from an older one what that one has not
# trust_as_here DIR                    gives it this machine's certificate authorities
# leave_out_llvm DIR MAJOR...          what builds an extension there comes without clang
# in_folder DIR COMMAND...             runs a command in it as root; what it
#                                      leaves running ends with it
#
# The mirrors are those of this machine's own apt.

set -euo pipefail

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'cdc: %s\n' "$*"; }
die() { printf 'cdc: error: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "this needs root (debootstrap and chroot do)"
if ! command -v debootstrap >/dev/null; then
	say "installing debootstrap"
	{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install debootstrap; } >/dev/null ||
		die "debootstrap could not be installed (apt-get install debootstrap)"
fi

# This machine's mirrors: the main one, or with an argument the security one.
mirror()
{
	local found

	if [ -z "${1-}" ]; then
		found=$(configured '^[^ ]*/debian/?$')
		echo "${found:-http://deb.debian.org/debian}"
	else
		found=$(configured 'debian-security/?$')
		echo "${found:-$(mirror | sed 's,/*$,,')-security}"
	fi
}
configured()
{
	{
		sed -n 's/^URIs:[ \t]*//p' /etc/apt/sources.list.d/*.sources 2>/dev/null
		sed -nE 's/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || :
	} | tr ' ' '\n' | grep -m1 -E "$1" || :
}

make_folder()
{
	local suite=$1 dir=$2 base=$1 script main security source

	shift 2
	main=$(mirror) security=$(mirror security)
	[ "$suite" != experimental ] || base=sid
	script=/usr/share/debootstrap/scripts/$base
	[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid

	rm -rf "$dir"
	mkdir -p "$dir"
	LC_ALL=C debootstrap --variant=minbase --keyring="$KEYRING" \
		--include="$(IFS=,; echo "ca-certificates${*:+,$*}")" \
		"$base" "$dir" "$main" "$script" >"$dir.log" 2>&1 || { tail -20 "$dir.log" >&2; die "debootstrap failed"; }

	# Nothing that is installed there starts by itself.
	printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
	chmod 755 "$dir/usr/sbin/policy-rc.d"
	cp /etc/resolv.conf /etc/hosts "$dir/etc/" 2>/dev/null || :
	# This machine's way to the mirrors (proxies), where it has one.
	for source in $(grep -lE 'Acquire::' /etc/apt/apt.conf /etc/apt/apt.conf.d/* 2>/dev/null || :); do
		cp "$source" "$dir/etc/apt/apt.conf.d/$(basename "$source")"
	done
	cat >"$dir/etc/apt/apt.conf.d/90folder" <<-'EOT'
		Acquire::Check-Valid-Until "false";
		Acquire::Languages "none";
	EOT
	cat >"$dir/etc/dpkg/dpkg.cfg.d/90folder" <<-'EOT'
		force-unsafe-io
		path-exclude=/usr/share/doc/*
		path-exclude=/usr/share/man/*
		path-exclude=/usr/share/locale/*
	EOT

	rm -f "$dir"/etc/apt/sources.list "$dir"/etc/apt/sources.list.d/*
	{
		echo "deb [signed-by=$KEYRING] $main $base main"
		case $suite in
			sid) ;;
			# From experimental only PostgreSQL itself, by the pin below.
			experimental) echo "deb [signed-by=$KEYRING] $main experimental main" ;;
			# Minor releases of PostgreSQL come as security updates.
			*) echo "deb [signed-by=$KEYRING] $security $suite-security main" ;;
		esac
	} >"$dir/etc/apt/sources.list"
	if [ "$suite" = experimental ]; then
		printf 'Package: src:postgresql-*\nPin: release a=experimental\nPin-Priority: 990\n' \
			>"$dir/etc/apt/preferences.d/postgresql"
	fi
}

# Packages of an older Debian, where the folder's own has none of that name.
add_suite()
{
	printf "deb [signed-by=$KEYRING] %s $2 main\n" "$(mirror)" >>"$1/etc/apt/sources.list"
	printf "deb [signed-by=$KEYRING] %s $2-security main\n" "$(mirror security)" >>"$1/etc/apt/sources.list"
}

in_folder()
{
	local dir=$1

	shift
	unshare --mount --pid --ipc --fork --kill-child bash -c '
		set -e
		dir=$1; shift
		mount --make-rprivate /
		mount -t proc proc "$dir/proc"
		mkdir -p "$dir/dev/shm" "$dir/dev/pts"
		mount -t tmpfs -o mode=1777 shm "$dir/dev/shm"
		if [ -d "${ARCHIVES-}" ]; then mount --bind "$ARCHIVES" "$dir/var/cache/apt/archives"; fi
		exec chroot "$dir" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			HOME=/root TERM=dumb "$@"
	' in_folder "$dir" "$@" </dev/null
}

# The packages downloaded by in_folder are kept in DIR, so that the next
# folder of the suite does not download them again.
keep_archives() { export ARCHIVES=$1; mkdir -p "$ARCHIVES/partial"; }

# Certificate authorities that this machine trusts beside Debian's own: behind a
# proxy nothing can be fetched without them.
trust_as_here()
{
	local dir=$1 certificates=(/usr/local/share/ca-certificates/*.crt)

	[ -e "${certificates[0]}" ] || return 0
	mkdir -p "$dir/usr/local/share/ca-certificates"
	cp "${certificates[@]}" "$dir/usr/local/share/ca-certificates/"
	in_folder "$dir" update-ca-certificates >/dev/null 2>&1
}

# server-dev packages depend on clang and llvm, which only make bitcode: some
# 700 MB less with an empty package in their place.
leave_out_llvm()
{
	local dir=$1 deps

	shift
	deps=$(in_folder "$dir" apt-cache depends "${@/#/postgresql-server-dev-}" | sed -n 's/^ *|\?Depends: //p' |
		grep -xE '(clang|llvm)-[0-9]+(-dev)?' | sort -u | paste -sd, | sed 's/,/, /g')
	[ -n "$deps" ] || return 0
	mkdir -p "$dir/tmp/no-llvm/DEBIAN"
	cat >"$dir/tmp/no-llvm/DEBIAN/control" <<-EOT
		Package: no-llvm
		Version: 1
		Architecture: all
		Maintainer: nobody <nobody@localhost>
		Provides: $deps
		Description: stands in for clang and llvm
	EOT
	dpkg-deb -b "$dir/tmp/no-llvm" "$dir/tmp/no-llvm.deb" >/dev/null
	in_folder "$dir" dpkg -i /tmp/no-llvm.deb >/dev/null
}
