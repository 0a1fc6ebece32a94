#!/bin/bash
# Builds the extension into a folder that can be mounted anywhere, read-only, for PostgreSQL 18
# and later: lib/ has the library, without a path in cdc.control, and share/extension/ the rest.
# The server finds them by
#
#   extension_control_path = '$system:FOLDER/share'
#   dynamic_library_path = '$libdir:FOLDER/lib'
#
# which is what CloudNativePG sets for an extension's image. libprotobuf-c, which no server
# has, is linked in. Usage, with what the build needs installed:
#
#   PG_CONFIG=/path/to/pg_config packaging/prefix.sh FOLDER
set -euo pipefail
: "${PG_CONFIG:=pg_config}"
[ $# = 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"/{lib,share/extension,licenses/cdc}
to=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

major=$("$PG_CONFIG" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
[ "$major" -ge 18 ] || { echo "PostgreSQL $major does not look for extensions elsewhere: 18 does" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make=(make -s -C "$work" -f "$PWD/Makefile" VPATH="$PWD" PG_CONFIG="$PG_CONFIG" with_llvm=no
	PROTOBUF_C='-l:libprotobuf-c.a -Wl,--exclude-libs,libprotobuf-c.a')
"${make[@]}" -j"$(nproc)"
"${make[@]}" install DESTDIR="$work/root" >/dev/null
install -m 755 "$work/root$("$PG_CONFIG" --pkglibdir)/cdc.so" "$to/lib/"
install -m 644 "$work/root$("$PG_CONFIG" --sharedir)"/extension/cdc* "$to/share/extension/"
sed -i "s,^module_pathname = .*,module_pathname = 'cdc'," "$to/share/extension/cdc.control"
install -m 644 LICENSE "$to/licenses/cdc/"
