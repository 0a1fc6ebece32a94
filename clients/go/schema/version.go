package schema

import (
	"strconv"
)

// Version is what the server's registry says of the schema that a row has.
type Version struct {
	// Major version; 0: the relation was not registered.
	Major uint32
	// Unmapped is why the row is not in the version that was asked for by
	// Config.RequestVersions; empty if it is, or if none was.
	Unmapped string
}

// VersionedName is the name of a topic or channel for a version of a relation:
// schema.table.v2; without a version (0) schema.table.
func VersionedName(relation string, major uint32) string {
	if major == 0 {
		return relation
	}
	return relation + ".v" + strconv.FormatUint(uint64(major), 10)
}
