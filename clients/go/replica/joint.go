package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// A row of an initial load remembers the snapshot that it was read under, in a
// field of its own beyond those of columns: the snapshot's place in the list. A
// transaction that the snapshot saw does nothing to the row.
const loadField = 4000

// loading is what an Applier knows of an initial load.
type loading struct {
	progress *LoadProgress
	// Again reads a row as a transaction has left it, or later.
	again func(ctx context.Context, table *schema.Table, key tuple.Row, xid uint32) (tuple.Row, error)
	// Reload reads a table anew, as a transaction has left it, or later.
	reload  func(ctx context.Context, relation string, xid uint32) error
	altered []string // relations to be read anew after this transaction

	xid  uint32
	seen map[*TableProgress]bool // of the transaction with this xid
}

// loadAltered reads tables anew that were altered after they were read: an event has
// another schema than the rows, and it is not an old one.
func (a *Applier) loadAltered(ctx context.Context, t *change.Txn) error {
	if a.load == nil {
		return nil
	}
	looked := map[schema.Fingerprint]bool{}
	for e, err := range t.Events() {
		if err != nil {
			return err
		}
		table := e.Table()
		if table == nil || looked[table.Fingerprint] {
			continue
		}
		looked[table.Fingerprint] = true
		relation := table.String()
		known, err := a.known(ctx, relation)
		if err != nil {
			return err
		}
		p := a.load.progress.relation(relation)
		if p != nil && known != nil && known.Fingerprint != table.Fingerprint && !a.load.progress.seenByAll(p, a.xid) &&
			!slices.Contains(a.load.altered, relation) {
			a.load.altered = append(a.load.altered, relation)
		}
	}
	return a.reload(ctx)
}

// reload reads tables anew of which that is known to be necessary, between
// transactions.
func (a *Applier) reload(ctx context.Context) error {
	if a.load == nil {
		return nil
	}
	for _, relation := range a.load.altered {
		if err := a.load.reload(ctx, relation, a.xid); err != nil {
			return fmt.Errorf("cdc: loading %s anew: %w", relation, err)
		}
		a.load.seen = nil
	}
	a.load.altered = nil
	return nil
}

// superseded tells whether an event is of before everything that was read of its
// table: then it changes nothing, and may be of a schema that the rows do not have.
func (a *Applier) superseded(ctx context.Context, relation string, table *schema.Table) (bool, error) {
	if a.load == nil {
		return false, nil
	}
	p := a.load.progress.relation(relation)
	if p == nil {
		return false, nil
	}
	if a.load.sees(p, a.xid) {
		return true, nil
	}
	known, err := a.known(ctx, relation)
	if err == nil && known != nil && known.Fingerprint != table.Fingerprint {
		err = fmt.Errorf("cdc: %s changed its schema while it was loaded: %w", relation, ErrLoadAgain)
	}
	return false, err
}

// sees is LoadProgress.seenByAll, asked once for a transaction and a table.
func (l *loading) sees(p *TableProgress, xid uint32) bool {
	if l.xid != xid || l.seen == nil {
		l.xid, l.seen = xid, map[*TableProgress]bool{}
	}
	seen, asked := l.seen[p]
	if !asked {
		seen = l.progress.seenByAll(p, xid)
		l.seen[p] = seen
	}
	return seen
}

// tag gives the place of the snapshot that a row was read under.
func tag(row tuple.Row) (int, bool, error) {
	v, ok, err := row.Find(loadField)
	return int(v.Bits), ok, err
}

// sees tells whether the snapshot in a place saw the transaction at hand.
func (a *Applier) sees(place int) (bool, error) {
	if place < 0 || place >= len(a.load.progress.Snapshots) {
		return false, fmt.Errorf("cdc: a row was read under snapshot %d, which the progress of the load does not have", place)
	}
	return a.load.progress.Snapshots[place].Sees(a.xid), nil
}

// seen tells whether the row with a key was read when the transaction at hand had
// committed already.
func (a *Applier) seen(ctx context.Context, relation string, table *schema.Table, key tuple.Row) (bool, error) {
	if a.load == nil || a.xid == 0 {
		return false, nil
	}
	if place, whole := a.load.progress.whole(relation); whole {
		return a.sees(place)
	}
	if !table.HasKey() {
		return false, nil
	}
	row, err := a.state.Get(ctx, relation, key)
	if err != nil || row == nil {
		return false, err
	}
	place, ok, err := tag(row)
	if !ok || err != nil {
		return false, err
	}
	return a.sees(place)
}

// seenTable is seen for what has no key.
func (a *Applier) seenTable(relation string) (bool, error) {
	if a.load == nil {
		return false, nil
	}
	if place, whole := a.load.progress.whole(relation); whole {
		return a.sees(place)
	}
	return false, nil
}

// empty removes the rows of a relation, but not those that were read later.
func (a *Applier) empty(ctx context.Context, relation string) error {
	if a.load == nil {
		return a.state.Truncate(ctx, relation)
	}
	if seen, err := a.seenTable(relation); seen || err != nil {
		return err
	}
	var gone [][]byte
	err := a.state.Scan(ctx, relation, func(key []byte, row tuple.Row) error {
		place, ok, err := tag(row)
		seen := false
		if ok && err == nil {
			seen, err = a.sees(place)
		}
		if !seen {
			gone = append(gone, bytes.Clone(key))
		}
		return err
	})
	for _, key := range gone {
		if err != nil {
			return err
		}
		err = a.state.Delete(ctx, relation, key)
	}
	return err
}

// incomplete is an UPDATE of a row that was not read: it was somewhere else when
// its new place was read, or is deleted later. If the event does not have the
// whole row, it is read again.
func (a *Applier) incomplete(ctx context.Context, relation string, table *schema.Table, e *change.Event, key tuple.Row) error {
	whole, err := isWhole(table, e)
	if err != nil {
		return err
	}
	if whole {
		return a.overlaid(ctx, relation, table, e, nil, key)
	}
	if a.load.again == nil {
		return a.lost(e, relation, "there is no such row")
	}
	if slices.Contains(a.load.altered, relation) { // all of it is read when this is committed
		return nil
	}
	row, err := a.load.again(ctx, table, key, a.xid)
	if errors.Is(err, errAltered) {
		a.load.altered = append(a.load.altered, relation)
		return nil
	}
	if err != nil {
		return fmt.Errorf("cdc: reading a row of %s again: %w", relation, err)
	}
	if row == nil { // it is deleted later
		return nil
	}
	return a.put(ctx, relation, table, key, row)
}

// isWhole tells whether an UPDATE has all columns.
func isWhole(table *schema.Table, e *change.Event) (bool, error) {
	has, err := tuple.NumbersOf(e.New)
	if err != nil {
		return false, err
	}
	e.Nulls.Each(func(n uint32) { has.Set(n) })
	if table.ReplicaIdentity == schema.IdentityFull {
		return false, nil
	}
	for i := range table.Columns {
		c := &table.Columns[i]
		if !c.Key && c.Redaction == 0 && !has.Has(c.Number) {
			return false, nil
		}
	}
	return true, nil
}

// tagged gives a row with the place of its snapshot.
func tagged(row tuple.Row, place int) tuple.Row {
	return wire.AppendUint(row, loadField, uint64(place))
}

// WithoutLoadMark gives a row of an Applier's state without what an initial load
// has noted in it: the row itself if there is nothing. Applier.Row and Rows do it.
func WithoutLoadMark(row tuple.Row) tuple.Row {
	c := wire.Over(row)
	at := 0
	for c.Next() {
		if c.Field.Number == loadField {
			return append(append(make(tuple.Row, 0, len(row)), row[:at]...), row[at+len(c.Field.Raw):]...)
		}
		at += len(c.Field.Raw)
	}
	return row
}
