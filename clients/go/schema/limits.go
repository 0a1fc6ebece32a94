package schema

import (
	"cmp"

	"github.com/pgcdc/cdc/clients/go/tuple"
)

// Limits bound what is allocated for bytes that others have made. They are
// checked before anything is allocated. A zero field means its default.
type Limits struct {
	// MaxBatchBytes is the size of one batch. Default 1 GiB: the server sends a
	// row of any size that PostgreSQL can hold in one batch.
	MaxBatchBytes int
	// MaxColumns of a table. Default and maximum 1600.
	MaxColumns int
	// MaxSchemas is how many schemas a Cache keeps. Default 65536.
	MaxSchemas int
	// MaxSchemaBytes is the size of all schemas that a Cache keeps. Default 256 MiB.
	MaxSchemaBytes int
	// MaxTableBytes is the size of one schema. Default 64 MiB (the server keeps
	// to 16 MiB of values of older rows, and the names).
	MaxTableBytes int
}

// WithDefaults puts defaults in place of zeros.
func (l Limits) WithDefaults() Limits {
	l.MaxBatchBytes = cmp.Or(l.MaxBatchBytes, 1<<30)
	l.MaxColumns = min(cmp.Or(l.MaxColumns, tuple.MaxColumns), tuple.MaxColumns)
	l.MaxSchemas = cmp.Or(l.MaxSchemas, 1<<16)
	l.MaxSchemaBytes = cmp.Or(l.MaxSchemaBytes, 256<<20)
	l.MaxTableBytes = cmp.Or(l.MaxTableBytes, 64<<20)
	return l
}
