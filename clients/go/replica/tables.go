package replica

import (
	"bytes"
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

// rename moves all that there is of a relation to another name, of which nothing is left.
func (t *tables) rename(ctx context.Context, from, to string) error {
	if err := t.forget(ctx, to); err != nil {
		return err
	}
	known, err := t.known(ctx, from)
	if err != nil || known == nil {
		return err
	}
	if err := t.move(ctx, from, to, known); err != nil {
		return err
	}
	delete(t.schemas, from)
	t.schemas[to] = known
	return nil
}

// move is rename for rows and schema.
func (t *tables) move(ctx context.Context, from, to string, known *schema.Table) error {
	if r, ok := t.state.(Renamer); ok {
		return r.Rename(ctx, from, to)
	}
	var keys [][]byte
	var rows []tuple.Row
	err := t.state.Scan(ctx, from, func(key []byte, row tuple.Row) error {
		keys, rows = append(keys, bytes.Clone(key)), append(rows, append(tuple.Row{}, row...))
		return nil
	})
	for i := range rows {
		if err != nil {
			return err
		}
		err = t.state.Put(ctx, to, keys[i], rows[i])
	}
	if err == nil {
		err = t.state.SetSchema(ctx, to, known.Bytes)
	}
	if err == nil {
		err = t.forget(ctx, from)
	}
	return err
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
