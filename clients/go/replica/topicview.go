package replica

import (
	"context"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// view gives a State in which relations are those of the place.
func (p *place) view(state State) State {
	v := &placeView{p, state, "@" + p.name}
	if r, ok := state.(Renamer); ok {
		return &renamingView{v, r}
	}
	return v
}

type placeView struct {
	place  *place
	state  State
	suffix string
}

// Get implements State.
func (v *placeView) Get(ctx context.Context, relation string, key []byte) (tuple.Row, error) {
	return v.state.Get(ctx, relation+v.suffix, key)
}

// Put implements State.
func (v *placeView) Put(ctx context.Context, relation string, key []byte, row tuple.Row) error {
	return v.state.Put(ctx, relation+v.suffix, key, v.place.marked(relation, row))
}

// Delete implements State.
func (v *placeView) Delete(ctx context.Context, relation string, key []byte) error {
	return v.state.Delete(ctx, relation+v.suffix, key)
}

// Truncate implements State.
func (v *placeView) Truncate(ctx context.Context, relation string) error {
	return v.state.Truncate(ctx, relation+v.suffix)
}

// Scan implements State.
func (v *placeView) Scan(ctx context.Context, relation string, f func(key []byte, row tuple.Row) error) error {
	return v.state.Scan(ctx, relation+v.suffix, f)
}

// Schema implements State.
func (v *placeView) Schema(ctx context.Context, relation string) ([]byte, error) {
	return v.state.Schema(ctx, relation+v.suffix)
}

// SetSchema implements State.
func (v *placeView) SetSchema(ctx context.Context, relation string, table []byte) error {
	return v.state.SetSchema(ctx, relation+v.suffix, table)
}

// Applied implements State.
func (v *placeView) Applied(ctx context.Context) (wal.Position, error) { return v.state.Applied(ctx) }

// Commit implements State.
func (v *placeView) Commit(ctx context.Context, p wal.Position) error { return v.state.Commit(ctx, p) }

type renamingView struct {
	*placeView
	renamer Renamer
}

// Rename implements Renamer.
func (v *renamingView) Rename(ctx context.Context, from, to string) error {
	return v.renamer.Rename(ctx, from+v.suffix, to+v.suffix)
}

// isWhole tells whether an UPDATE has all columns of the row, as it is after it.
func (a *TopicApplier) isWhole(table *schema.Table, e *change.Event) (bool, error) {
	if table.ReplicaIdentity == schema.IdentityFull && a.WholeOld {
		return true, nil
	}
	has, err := tuple.NumbersOf(e.New)
	if err != nil {
		return false, err
	}
	e.Nulls.Each(func(n uint32) { has.Set(n) })
	for i := range table.Columns {
		c := &table.Columns[i]
		switch {
		case c.Key, has.Has(c.Number), absent(c.Redaction):
		case c.Redaction != 0 && has.Has(c.Number+tuple.RedactedBase):
		default:
			return false, nil
		}
	}
	return true, nil
}

// absent tells whether nothing ever stands in the place of a redacted value.
func absent(r schema.Redaction) bool {
	return r == cdcv1.Redaction_REDACTION_DROP || r == cdcv1.Redaction_REDACTION_NULL || r == cdcv1.Redaction_REDACTION_WITHHELD
}
