#!/bin/bash
# What can be said of the packages without building them: versions agree, generated files are
# what they are generated from, settings of the example exist. Tools that are not installed
# (dpkg-parsechangelog, rpmspec) are left out. Silent when all is well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
failed=0
complain() { echo "$*"; failed=1; }

version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" cdc.control)
agree() { [ "$2" = "$version" ] || complain "$1 is about version \"$2\", cdc.control about $version"; }
agree debian/changelog "$(sed -n '1s/^cdc (\(.*\)) .*/\1/p' debian/changelog)"
agree packaging/cdc.spec "$(sed -n 's/^Version: *//p' packaging/cdc.spec)"
agree "the newest entry of packaging/cdc.spec" "$(sed -n '/^%changelog/,$s/^\*.* - \(.*\)-[0-9]*$/\1/p' packaging/cdc.spec | head -n 1)"
agree packaging/cloudnative-pg/metadata.hcl "$(sed -n 's/^ *sql *= "\(.*\)"/\1/p' packaging/cloudnative-pg/metadata.hcl)"
agree "the package in packaging/cloudnative-pg/metadata.hcl" "$(sed -n 's/^ *package *= "\(.*\)~.*"/\1/p' packaging/cloudnative-pg/metadata.hcl)"

# As pg_buildext updatecontrol does it, for the one version that the file has.
major=$(sed -n 's/^Package: postgresql-\([0-9]*\)-cdc$/\1/p' debian/control)
sed "s/PGVERSION/$major/g" debian/control.in | cmp -s - debian/control || complain "debian/control is not what pg_buildext updatecontrol makes of control.in"
if command -v dpkg-parsechangelog >/dev/null; then
	warnings=$(dpkg-parsechangelog -l debian/changelog 2>&1 >/dev/null) || :
	[ -z "$warnings" ] || complain "$warnings"
fi

# Keys of the example are settings.
while read -r name; do
	grep -q "^| \`$name\` |" docs/relay.md || [[ $name == postgres.options.* ]] || complain "packaging/relay.toml has $name, which is no setting"
done < <(awk '/^\[/ { table = substr($1, 2, length($1) - 2) } match($0, /^#[a-z_.]+ =/) { print table "." substr($0, 2, RLENGTH - 3) }' packaging/relay.toml)

if command -v rpmspec >/dev/null; then
	for major in 15 18; do
		rpmspec --define "pgmajorversion $major" -P packaging/cdc.spec >/dev/null || complain "rpmspec does not read packaging/cdc.spec"
	done
fi
exit $failed
