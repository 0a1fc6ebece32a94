#!/bin/bash
# Builds RPMs by packaging/cdc.spec, installs and removes them, in a minimal Debian with rpm: what they need by name is of
# another system and not looked at (--nodeps), and PostgreSQL is Debian's, in the folders that the spec expects. As root.
# Prints TAP.
#
#   test/packages/rpm.sh [SUITE [MAJOR]]       by default trixie 17
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$tree/scripts/folders.sh"
SUITE=${1:-trixie} MAJOR=${2:-17}
FOLDERS=${CDC_FOLDERS:-/var/tmp/cdc-folders}
keep_archives "$FOLDERS/archives-$SUITE"
base=$FOLDERS/fresh-$SUITE
[ -e "$base.done" ] || { make_folder "$SUITE" "$base" git sudo && touch "$base.done"; }
run=$FOLDERS/run-rpm-$$
log=$(mktemp)
trap 'rm -rf "$run" "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

tests=0 failed=0
check()					# NAME COMMAND...
{
	local name=$1

	shift
	tests=$((tests + 1))
	if "$@" >"$log" 2>&1 </dev/null; then
		echo "ok $tests - $name"
	else
		failed=1
		echo "not ok $tests - $name"
		tail -n 30 "$log" | sed 's/^/# /'
	fi
}
is() { [ "$1" = "$2" ] || { echo "$1, where $2 was expected"; return 1; }; }
inside() { in_folder "$run" env DEBIAN_FRONTEND=noninteractive sh -ec "$*"; }

prefix=/usr/pgsql-$MAJOR version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" "$tree/cdc.control")
cp -a "$base" "$run"
inside "apt-get -qq update
	mkdir -p /etc/postgresql-common; echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf" >"$log" 2>&1
leave_out_llvm "$run" "$MAJOR"
inside "apt-get -qq -y --no-install-recommends install rpm postgresql-server-dev-$MAJOR $(. "$tree/scripts/lib.sh"; PG_MAJOR=$MAJOR; packages build | tr '\n' ' ')" >"$log" 2>&1 ||
	{ tail "$log" >&2; die "no rpm, or no PostgreSQL $MAJOR"; }
sources=$run/root/rpmbuild/SOURCES
mkdir -p "$sources" "$run/tmp/cdc-$version" "$run$prefix/bin"
cat >"$run$prefix/bin/pg_config" <<-END_OF_FILE
	#!/bin/sh
	case \$1 in
	--pkglibdir) echo $prefix/lib ;;
	--sharedir) echo $prefix/share ;;
	--docdir) echo $prefix/doc ;;
	*) exec /usr/lib/postgresql/$MAJOR/bin/pg_config "\$@" ;;
	esac
END_OF_FILE
chmod 755 "$run$prefix/bin/pg_config"
(. "$tree/scripts/lib.sh"; archive_tree "$tree") | tar --no-same-owner -xf - -C "$run/tmp/cdc-$version"
tar -czf "$sources/cdc-$version.tar.gz" -C "$run/tmp" "cdc-$version"
"$tree/scripts/tarball" "$sources" >"$log"
cp "$tree/packaging/cdc.spec" "$run/root/"

# the namespaces that rpm makes for scripts cannot be made in a folder
rpm="rpm --noplugins"
rpms=/root/rpmbuild/RPMS/$(uname -m)
check "rpmbuild" inside "rpmbuild --nodeps --define 'pgmajorversion $MAJOR' -bb /root/cdc.spec"
check "gives three packages" is "$(inside "ls $rpms" | sed 's/-[0-9].*//' | tr '\n' ' ')" "cdc-relay cdc-tools cdc_$MAJOR "
needs() { inside "rpm -qp --requires $rpms/cdc_$MAJOR-*" | grep "$1"; }
check "the extension needs its libraries" needs libprotobuf-c
check "and the server" needs "postgresql$MAJOR-server"
check "nothing of the programs needs a library" is "$(inside "rpm -qp --requires $rpms/cdc-relay* $rpms/cdc-tools*" | grep -c '\.so')" 0
check "they are installed" inside "$rpm -i --nodeps $rpms/*.rpm"
check "nothing of them is changed" inside "rpm -V --nodeps cdc-relay cdc-tools cdc_$MAJOR"
check "the library is where the server looks" test -e "$run$prefix/lib/cdc.so"
check "the relay has its user" inside "getent passwd cdc-relay"
check "its settings are for it alone" is "$(inside 'stat -c "%a %U %G" /etc/cdc-relay/relay.toml')" "640 root cdc-relay"
check "the programs run" inside "cdc-tail --version && cdc-relay version"
check "they are removed" inside "$rpm -e --nodeps cdc-relay cdc-tools cdc_$MAJOR"
check "no file is left of them" is "$(inside "find /usr/bin /usr/lib/systemd /usr/share /etc $prefix -name 'cdc*' -not -path '/usr/share/rpm/*'")" ""
echo "1..$tests"
exit $failed
