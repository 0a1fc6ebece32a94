package replica

import (
	"context"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// tables are the rows of a State, and the schemas that they have. The Applier puts in what
// the stream has, and the Loader what was there before.
type tables struct {
	state   State
	schemas map[string]*schema.Table // of relations, as far as they were looked at
	key     []byte                   // room for one
}

func newTables(state State) *tables {
	return &tables{state: state, schemas: map[string]*schema.Table{}}
}

// put puts a row under its key; of tables that have none under its own bytes and a
// number, since there may be several that are equal.
func (t *tables) put(ctx context.Context, relation string, table *schema.Table, key, row tuple.Row) error {
	if table.HasKey() {
		return t.state.Put(ctx, relation, key, row)
	}
	n, err := t.copies(ctx, relation, row)
	if err != nil {
		return err
	}
	return t.state.Put(ctx, relation, t.numbered(row, n), row)
}

// forget drops all rows of a relation, and the schema that they had.
func (t *tables) forget(ctx context.Context, relation string) error {
	if err := t.state.Truncate(ctx, relation); err != nil {
		return err
	}
	if err := t.state.SetSchema(ctx, relation, nil); err != nil {
		return err
	}
	delete(t.schemas, relation)
	return nil
}

// image is the row of an event that has all of it.
func image(e *change.Event) (tuple.Row, error) {
	return tuple.Sorted(append(append(tuple.Row{}, e.Key...), e.New...))
}

// failureOf is why a change cannot be applied, nil if it can.
func failureOf(e *change.Event) error {
	if !e.Failed() {
		return nil
	}
	failure, err := e.Failure()
	if err != nil {
		return err
	}
	return failure
}
