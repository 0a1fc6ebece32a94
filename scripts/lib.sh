# Shared by the scripts in this directory; to be sourced by bash.
#
# enter NAME GROUP... -- ARGS
#     installs what is missing, copies the tree into a private directory,
#     gives up root, and starts scripts/NAME again in there; the second time
#     it returns, and the rest of the script runs with
#         WORK       the private directory, removed at the end
#         SRC        the copy of the tree, which is also the working directory
#         PG_MAJOR   the server's major version
#         PG_CONFIG  of a private installation, in which `make install` ends
# build_extension, start_server, stop_servers, finish: see below.
#
# Nothing is written to the checkout or to the directories of an installed
# PostgreSQL, no server runs as root or listens on a network port.

set -euo pipefail

OLDEST_MAJOR=15

say() { printf 'cdc: %s\n' "$*"; }
die() { printf 'cdc: error: %s\n' "$*" >&2; exit 1; }

jobs_count() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2; }

# prints PATTERN COMMAND...: whether the output has a line that matches. (In a
# pipe to grep -q, the command could fail by writing to a closed pipe.)
prints() { grep -q "$1" <<<"$("${@:2}" 2>/dev/null)"; }

# --- what has to be installed -------------------------------------------

is_debian() { command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; }
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
available() { prints '^  Candidate: [^(]' apt-cache policy "$1"; }

# How root's commands are run: directly, by sudo, or (returns 1) not at all.
as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		sudo "$@"
	else
		return 1
	fi
}

UPDATED=
apt_update()
{
	[ -z "$UPDATED" ] || return 0
	UPDATED=yes
	say "apt-get update"
	as_root apt-get -qq -o DPkg::Lock::Timeout=300 update ||
		die "apt-get update failed (it needs root, or sudo)"
}

# Installs packages without making Debian's database cluster "main": what is
# started here has servers of its own, and a server that nobody asked for
# should not be left behind. createcluster.conf is afterwards as it was, or as
# the package brings it.
apt_install()
{
	as_root bash -c '
		conf=/etc/postgresql-common/createcluster.conf
		default=/usr/share/postgresql-common/createcluster.conf
		kept=
		restore()
		{
			if [ -n "$kept" ]; then mv -f "$kept" "$conf"
			elif [ -e "$default" ]; then cp "$default" "$conf"
			else rm -f "$conf"; rmdir "${conf%/*}" 2>/dev/null || :
			fi
		}
		export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
		if [ -e "$conf" ]; then kept=$(mktemp "$conf.XXXXXX"); cp -p "$conf" "$kept"; fi
		trap restore EXIT
		trap "exit 130" INT
		trap "exit 143" TERM HUP
		mkdir -p "${conf%/*}"
		echo "create_main_cluster = false" > "$conf"
		log=$(mktemp)
		apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
			-o Dpkg::Options::=--force-confold --no-install-recommends install "$@" >"$log" 2>&1 ||
			{ rc=$?; tail -40 "$log" >&2; rm -f "$log"; exit $rc; }
		rm -f "$log"
	' apt_install "$@" </dev/null
}

# Packages that may not exist for a new major: what needs them does without.
optional() { case $1 in *-pgtap | *-wal2json | *-decoderbufs) return 0 ;; *) return 1 ;; esac; }

# What is there although no package of that name is installed.
provided()
{
	case $1 in
		*-pgtap) [ -e "/usr/share/postgresql/$PG_MAJOR/extension/pgtap.control" ] ;;
		default-jre-headless) command -v java >/dev/null ;;
		maven) command -v mvn >/dev/null ;;
		*) return 1 ;;
	esac
}

# Of Debian's package clang.
clang_version() { apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p'; }

# The names of the packages of the groups given, for PG_MAJOR.
packages()
{
	local group

	for group; do
		case $group in
			server) [ -n "${OWN_SERVER-}" ] || echo "postgresql-$PG_MAJOR postgresql-server-dev-$PG_MAJOR" ;;
			build) echo "gcc libc6-dev make liblz4-dev libzstd-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler" ;;
			test) echo "perl libipc-run-perl python3 python3-protobuf python3-psycopg2" ;;
			pgtap) [ -n "${OWN_SERVER-}" ] || echo "postgresql-$PG_MAJOR-pgtap" ;;
			peers) [ -n "${OWN_SERVER-}" ] || echo "postgresql-$PG_MAJOR-wal2json postgresql-$PG_MAJOR-decoderbufs" ;;
			chart) echo "python3 python3-matplotlib" ;;
			perf) echo "linux-perf" ;;
			lint) echo "python3 python3-yaml shellcheck pyflakes3" ;;
			clang) echo "clang libclang-rt-$(clang_version)-dev" ;;
			go) echo "curl ca-certificates protobuf-compiler" ;;
			rust) echo "curl ca-certificates protobuf-compiler g++" ;;
			kafka) echo "default-jre-headless maven" ;;
		esac
	done
}

# On other systems than Debian: what is not there, one line each.
lacking()
{
	local c dir

	for c in gcc make protoc protoc-gen-c perl $(case " $* " in *" clang "*) echo clang ;; esac); do
		command -v "$c" >/dev/null || echo "$c"
	done
	echo '#include <protobuf-c/protobuf-c.h>' | ${CC:-cc} -E - >/dev/null 2>&1 ||
		echo "protobuf-c with its headers"
	if [ -z "${PG_CONFIG-}" ] || [ ! -e "$("$PG_CONFIG" --pgxs)" ]; then
		echo "PostgreSQL $OLDEST_MAJOR or newer with its server headers (PG_CONFIG=/path/to/pg_config)"
	fi
	case " $* " in *" test "*)
		perl -MIPC::Run -e 1 2>/dev/null || echo "the Perl module IPC::Run"
		python3 -c 'import google.protobuf' 2>/dev/null || echo "the Python module protobuf"
		python3 -c 'import psycopg2' 2>/dev/null || echo "the Python module psycopg2" ;;
	esac
	case " $* " in *" perf "*) command -v perf >/dev/null || echo perf ;; esac
	case " $* " in *" chart "*)
		python3 -c 'import matplotlib' 2>/dev/null || echo "the Python module matplotlib" ;;
	esac
}

major_of() { "$1" --version | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p'; }

# The newest major that is installed ($1: a file that must be there), or empty.
newest_installed()
{
	local dir

	for dir in /usr/lib/postgresql/*/; do
		dir=${dir%/}
		[ -e "$dir/$1" ] && [ "${dir##*/}" -ge $OLDEST_MAJOR ] && echo "${dir##*/}"
	done 2>/dev/null | sort -n | tail -1
}

# The newest major that apt can install, or empty.
newest_available()
{
	local p

	for p in $(apt-cache pkgnames postgresql-server-dev- | grep -E '^postgresql-server-dev-[0-9]+$' |
				sort -t- -k4 -rn); do
		if [ "${p##*-}" -ge $OLDEST_MAJOR ] && available "$p"; then
			echo "${p##*-}"
			return
		fi
	done
}

# Sets PG_MAJOR, and OWN_SERVER when PG_CONFIG names a server that is not
# from a Debian package.
choose_server()
{
	if [ -n "${PG_CONFIG-}" ]; then
		PG_CONFIG=$(command -v "$PG_CONFIG") || die "PG_CONFIG does not name a program"
		PG_MAJOR=$(major_of "$PG_CONFIG")
		case $("$PG_CONFIG" --bindir) in
			/usr/lib/postgresql/*) is_debian || OWN_SERVER=yes ;;
			*) OWN_SERVER=yes ;;
		esac
	elif is_debian; then
		: "${PG_MAJOR:=$(newest_installed lib/pgxs/src/makefiles/pgxs.mk)}"
		: "${PG_MAJOR:=$(newest_installed bin/postgres)}"
		: "${PG_MAJOR:=$(newest_available)}"
		if [ -z "$PG_MAJOR" ]; then
			apt_update
			PG_MAJOR=$(newest_available)
		fi
		[ -n "$PG_MAJOR" ] || die "apt knows no PostgreSQL $OLDEST_MAJOR or newer (package postgresql-server-dev-NN)"
		PG_CONFIG=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config
	else
		PG_CONFIG=$(command -v pg_config || :)
		[ -z "$PG_CONFIG" ] || PG_MAJOR=$(major_of "$PG_CONFIG")
	fi
	[ "${PG_MAJOR:-$OLDEST_MAJOR}" -ge $OLDEST_MAJOR ] || die "PostgreSQL $PG_MAJOR is too old: $OLDEST_MAJOR is needed"
}

# Sees to it that the groups' packages are there.
ensure_packages()
{
	local p missing=() wanted=() list

	if ! is_debian; then
		list=$(lacking "$@")
		[ -z "$list" ] || die "this is not Debian; please install:
$(sed 's/^/    /' <<<"$list")"
		return
	fi
	for p in $(packages "$@" | tr ' ' '\n' | awk '!seen[$0]++'); do
		installed "$p" || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	for p in "${missing[@]}"; do
		! optional "$p" || available "$p" || [ "$(id -u)" != 0 ] || apt_update
	done
	for p in "${missing[@]}"; do
		if provided "$p" || { optional "$p" && ! available "$p"; }; then continue; fi
		wanted+=("$p")
	done
	[ ${#wanted[@]} -gt 0 ] || return 0

	say "installing ${wanted[*]}"
	as_root true || die "installing packages needs root or sudo; as root:
    apt-get install --no-install-recommends ${wanted[*]}"
	apt_update
	apt_install "${wanted[@]}" || die "apt-get install failed"
}

# --- the private copy ----------------------------------------------------

# Writes the tree (what git has or would add; without git, everything) to
# standard output as a tar archive.
archive_tree()
{
	local root=$1

	cd "$root"
	if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
		git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' f; do
				if [ -e "$f" ] || [ -L "$f" ]; then printf '%s\0' "$f"; fi
			done | tar --no-recursion --null -T - -cf -
	else
		tar --exclude=./.git -cf - .
	fi
}

enter()
{
	local name=$1 root user groups=()

	shift
	while [ "$1" != -- ]; do groups+=("$1"); shift; done
	shift
	if [ -n "${CDC_WORK-}" ]; then
		inside
		return
	fi

	root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
	choose_server
	ensure_packages "${groups[@]}"
	[ -e "$("$PG_CONFIG" --pgxs)" ] || die "$PG_CONFIG names no server headers ($("$PG_CONFIG" --pgxs) is missing)"

	user=$(id -un)
	if [ "$user" = root ]; then
		user=postgres
		id "$user" >/dev/null 2>&1 || user=nobody
	fi
	# Root's own Rust, if there is one, is not for others to run.
	local rust
	case " ${groups[*]} " in *" rust "*)
		[ "$(id -un)" = "$user" ] || { rust=$("$root/scripts/toolchain-rust.sh" --share) && PATH=$rust:$PATH; } || : ;;
	esac
	# In /tmp whatever TMPDIR says: the path of a Unix socket is short.
	CDC_WORK=$(mktemp -d /tmp/cdc-XXXXXX)
	trap 'rm -rf "$CDC_WORK"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mkdir "$CDC_WORK/src" "$CDC_WORK/tmp" "$CDC_WORK/logs"
	(archive_tree "$root") | tar --no-same-owner -xf - -C "$CDC_WORK/src"
	[ "$(id -un)" = "$user" ] || chown -R "$user:" "$CDC_WORK"

	# Debian's packages first: a python3 of the user's does not see their modules.
	! is_debian || PATH=/usr/bin:/bin:$PATH
	local keep=("PATH=$PATH" "HOME=$CDC_WORK/tmp" "TMPDIR=$CDC_WORK/tmp" "TERM=${TERM-dumb}"
		"CDC_WORK=$CDC_WORK" "CDC_ROOT=$root" "PG_CONFIG=$PG_CONFIG" "PG_MAJOR=$PG_MAJOR" "USER=$user")
	# what whoever runs a script may set for it
	local v
	for v in CC SANITIZE CDC_SKIP_NOTHING FUZZ_SECONDS FUZZ_RUNS CDC_GOLDEN_COPIES BENCH_SCALE CDC_BIG_ROWS CDC_REPLAY_STATEMENTS \
			CDC_CACHE CDC_TOOLCHAINS CDC_GO_URL GOPROXY EVENTS ROUNDS SEEDS \
			CDC_EVENTS CDC_CRASH_ROUNDS CDC_FAILOVERS CDC_SEEDS \
			CDC_ADVERSARY_STEPS CDC_ADVERSARY_WITHOUT CDC_ADVERSARY_JOBS \
			CDC_ADVERSARY_MINIMIZE CDC_PROOF_SEEDS CDC_FACTOR CDC_FAULTS CDC_PROGRAMS; do
		[ -z "${!v+set}" ] || keep+=("$v=${!v}")
	done
	if prints UTF-8 env LC_ALL=C.UTF-8 locale charmap; then
		keep+=(LC_ALL=C.UTF-8)
	else
		keep+=(LC_ALL=C)
	fi
	cd "$CDC_WORK/src"
	if [ "$(id -un)" = "$user" ]; then
		exec env -i "${keep[@]}" bash "scripts/$name" "$@"
	else
		exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups \
			env -i "${keep[@]}" bash "scripts/$name" "$@"
	fi
}

# The second start: in the copy, without root.
inside()
{
	WORK=$CDC_WORK
	SRC=$WORK/src
	unset CDC_WORK			# scripts started from here set up their own
	trap finish EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	shadow_installation
}

# Copies the programs of the installed PostgreSQL and links the rest. The
# server, and pg_config too, find their directories from where the program
# is, so that an extension installed here is seen by servers started here,
# and by nobody else.
shadow_installation()
{
	local system=$PG_CONFIG dir shadow=$WORK/pg bindir

	bindir=$("$system" --bindir)
	mkdir -p "$shadow$bindir"
	cp -L "$bindir"/* "$shadow$bindir/"
	for dir in "$("$system" --pkglibdir)" "$("$system" --sharedir)"; do
		mkdir -p "$shadow$dir"
		cp -rsn "$dir/." "$shadow$dir/"
		without_cdc "$shadow$dir"
	done
	for dir in "$("$system" --includedir)" "$("$system" --pkgincludedir)" \
			"$("$system" --includedir-server)" "$("$system" --libdir)"; do
		if [ ! -e "$dir" ] || [ "$(readlink -f "$shadow$dir")" = "$(readlink -f "$dir")" ]; then
			continue
		elif [ -e "$shadow$dir" ]; then
			cp -rsn "$dir/." "$shadow$dir/"
		else
			mkdir -p "$(dirname "$shadow$dir")"
			ln -s "$dir" "$shadow$dir"
		fi
	done
	link_libraries "$bindir/psql" "$shadow"
	export PG_CONFIG=$shadow$bindir/pg_config
	BINDIR=$shadow$bindir
	PATH=$BINDIR:$PATH
	[ "$("$PG_CONFIG" --bindir)" = "$BINDIR" ] || die "this PostgreSQL cannot be moved to another directory"
}

# Programs that find their libraries by where they are themselves (wheels of PyPI are
# made so) find them from their copies, too.
link_libraries()
{
	local library dir

	for library in $(ldd "$1" 2>/dev/null | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p'); do
		dir=$(dirname "$(realpath "$library")")
		case $dir in /lib | /lib/* | /usr/lib | /usr/lib/*) continue ;; esac
		[ -e "$2$dir" ] || { mkdir -p "$(dirname "$2$dir")" && ln -s "$dir" "$2$dir"; }
	done
}

# Takes the links to an installed cdc out of a copy of a directory of PostgreSQL's: what
# writes through a link (llvm-lto does) would write to the system's file, and a test of
# this tree has no use for the files of another. What remains of that name is an error.
without_cdc()
{
	find "$1" \( -name cdc -o -name 'cdc.*' -o -name 'cdc--*' \) -prune -exec rm -rf {} +
}

# Compiles and installs into the private installation. Arguments go to make.
build_extension()
{
	local llvm=() clang

	# Bitcode only where the compiler for it is installed.
	clang=$(sed -n 's/^CLANG[ \t]*=[ \t]*//p' "$(dirname "$("$PG_CONFIG" --pgxs)")/../Makefile.global")
	[ -x "$clang" ] || llvm=(with_llvm=no)
	make -s -C "$SRC" -j"$(jobs_count)" PG_CONFIG="$PG_CONFIG" ${llvm[@]+"${llvm[@]}"} "$@" all &&
		make -C "$SRC" -s PG_CONFIG="$PG_CONFIG" ${llvm[@]+"${llvm[@]}"} "$@" install
}

# --- servers -------------------------------------------------------------

# What slots need: from PostgreSQL 19 on the default.
wal_level() { if [ "$PG_MAJOR" -ge 19 ]; then echo replica; else echo logical; fi; }

# start_server NAME [SETTING=VALUE]...: makes and starts a cluster with its
# socket in WORK, and points libpq's environment to it.
start_server()
{
	local name=$1 data=$WORK/$1 setting plugins="'pgoutput, test_decoding, cdc'"

	shift
	"$BINDIR/initdb" -D "$data" -A trust -U postgres --no-locale -E UTF8 --no-sync \
		>"$WORK/logs/$name.initdb.log" 2>&1 || { cat "$WORK/logs/$name.initdb.log" >&2; return 1; }
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$WORK'"
		echo "wal_level = $(wal_level)"
		echo "max_wal_senders = 40"
		echo "max_replication_slots = 60"
		echo "max_prepared_transactions = 10"
		echo "fsync = off"
		echo "timezone = 'UTC'"
		# Only newer minor releases have the setting, and the others refuse to
		# start with it.
		! prints '^output_plugin_libraries' "$BINDIR/postgres" --describe-config ||
			echo "output_plugin_libraries = $plugins"
		# a server that is never updated is tested all the same
		echo "cdc.warn_of_old_minor = off"
		for setting; do echo "${setting%%=*} = '${setting#*=}'"; done
	} >>"$data/postgresql.conf"
	"$BINDIR/pg_ctl" -D "$data" -l "$WORK/logs/$name.log" -w -t 60 start >/dev/null ||
		{ cat "$WORK/logs/$name.log" >&2; return 1; }
	export PGHOST=$WORK PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

# Stops every server whose data directory is in WORK, those of a test that
# was interrupted too.
stop_servers()
{
	local file pid

	while IFS= read -r file; do
		pid=$(head -1 "$file" 2>/dev/null) || continue
		[ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null || continue
		for _ in $(seq 100); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null || :
	done < <(find "$WORK" -name postmaster.pid 2>/dev/null)
}

# await PID: until it has ended, or LIMIT seconds are over, which ends all of its group.
GUARD=
guard() { sleep "$2"; echo "not ok - ended after $2 s"; kill -TERM -- "-$1" 2>/dev/null || :; }
await()
{
	local rc=0

	set -m
	[ -z "${LIMIT-}" ] || { guard "$1" "$LIMIT" & GUARD=$!; }
	set +m
	wait "$1" || rc=$?
	[ -z "$GUARD" ] || { kill -TERM -- "-$GUARD" 2>/dev/null || :; wait "$GUARD" 2>/dev/null || :; }
	GUARD=
	return $rc
}

# Runs a command so that a signal to this script ends it at once, with
# everything that it started. LIMIT as above.
CHILD=
run()
{
	local rc=0

	set -m
	"$@" </dev/null &
	CHILD=$!
	set +m
	await "$CHILD" || rc=$?
	CHILD=
	return $rc
}

# Runs a command beside what follows; `await "$ASIDE"` ends when it does.
ASIDE=
aside()
{
	set -m
	# one group for all of it
	( run() { "$@" </dev/null; }; "$@" ) &
	ASIDE=$!
	set +m
}

# At the end: nothing is left running, and nothing is left behind unless
# KEEP_LOGS is set.
KEEP_LOGS=
finish()
{
	local rc=$? child

	trap '' INT TERM HUP
	for child in $CHILD $GUARD $ASIDE; do
		kill -TERM -- "-$child" 2>/dev/null || :
	done
	stop_servers
	cd /
	# caches of modules are read-only
	find "$WORK" -type d ! -perm -u+w -exec chmod u+w {} + 2>/dev/null || :
	if [ -n "$KEEP_LOGS" ]; then
		find "$WORK" -mindepth 1 -maxdepth 1 ! -name logs -exec rm -rf {} +
	else
		rm -rf "$WORK"
	fi
	exit $rc
}
