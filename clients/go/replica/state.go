package replica

import (
	"context"

	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// State is where an Applier keeps tables. A relation is named as Table.String()
// does. Keys and rows are bytes, valid only during the call: what is kept must be
// copied, what is returned must stay as it is until the next call.
//
// The Applier calls Commit at the end of each transaction. What it did before is
// to become durable together with the position, or not at all: then no crash
// repeats or loses a change. PostgresState and MemoryState are there already. Rows may have
// a mark of the initial load: users read them by Applier.Row and Rows, which leave it out.
type State interface {
	// Get gives a row, nil if there is none.
	Get(ctx context.Context, relation string, key []byte) (tuple.Row, error)
	// Put makes or replaces a row.
	Put(ctx context.Context, relation string, key []byte, row tuple.Row) error
	// Delete removes a row if it is there.
	Delete(ctx context.Context, relation string, key []byte) error
	// Truncate removes all rows of a relation.
	Truncate(ctx context.Context, relation string) error
	// Scan calls f for every row of a relation, in any order. f changes nothing.
	Scan(ctx context.Context, relation string, f func(key []byte, row tuple.Row) error) error

	// Schema gives what SetSchema was given last, nil if nothing.
	Schema(ctx context.Context, relation string) ([]byte, error)
	// SetSchema keeps the serialized Table that the relation's rows are of. An empty
	// one means that there is none any more.
	SetSchema(ctx context.Context, relation string, table []byte) error

	// Applied gives the position that Commit was given last, zero if there is none.
	Applied(ctx context.Context) (wal.Position, error)
	// Commit ends a transaction.
	Commit(ctx context.Context, p wal.Position) error
}

// Renamer is what a State may have besides. Without it, rows of a relation that gets another
// name are read and written one by one.
type Renamer interface {
	// Rename gives the rows of a relation, and the schema that they have, another name, under
	// which there are none.
	Rename(ctx context.Context, from, to string) error
}
