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

// joint is where an initial load and the stream meet. Transactions that a snapshot of the
// load saw change nothing in what was read under it. Where there is no load, it is nil.
type joint struct {
	tables   *tables
	progress *LoadProgress
	loader   *Loader

	xid     uint32                  // of the transaction at hand
	passed  map[*TableProgress]bool // whether all that was read of a table saw it
	altered []string                // relations to be read anew after it
}

// begin takes up the next transaction. Tables are read anew that were altered after they
// were read: an event has another schema than the rows, and it is not an old one.
func (j *joint) begin(ctx context.Context, t *change.Txn) error {
	if j == nil {
		return nil
	}
	j.xid, j.passed = t.XID, map[*TableProgress]bool{}
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
		if err := j.look(ctx, table); err != nil {
			return err
		}
	}
	return j.reload(ctx)
}

// look notes that a table is to be read anew, if it is.
func (j *joint) look(ctx context.Context, table *schema.Table) error {
	relation := table.String()
	known, err := j.tables.known(ctx, relation)
	if err != nil {
		return err
	}
	p := j.progress.relation(relation)
	if p != nil && known != nil && known.Fingerprint != table.Fingerprint && !j.progress.seenByAll(p, j.xid) &&
		!slices.Contains(j.altered, relation) {
		j.altered = append(j.altered, relation)
	}
	return nil
}

// reload reads tables anew of which that is known to be necessary, between
// transactions.
func (j *joint) reload(ctx context.Context) error {
	if j == nil {
		return nil
	}
	for _, relation := range j.altered {
		if err := j.loader.reload(ctx, relation, j.xid); err != nil {
			return fmt.Errorf("cdc: loading %s anew: %w", relation, err)
		}
		clear(j.passed)
	}
	j.altered = nil
	return nil
}

// superseded tells whether an event is of before everything that was read of its
// table: then it changes nothing, and may be of a schema that the rows do not have.
func (j *joint) superseded(ctx context.Context, relation string, table *schema.Table) (bool, error) {
	if j == nil {
		return false, nil
	}
	p := j.progress.relation(relation)
	if p == nil {
		return false, nil
	}
	passed, asked := j.passed[p]
	if !asked {
		passed = j.progress.seenByAll(p, j.xid)
		j.passed[p] = passed
	}
	if passed {
		return true, nil
	}
	known, err := j.tables.known(ctx, relation)
	if err == nil && known != nil && known.Fingerprint != table.Fingerprint {
		err = fmt.Errorf("cdc: %s changed its schema while it was loaded: %w", relation, ErrLoadAgain)
	}
	return false, err
}

// tag gives the place of the snapshot that a row was read under.
func tag(row tuple.Row) (int, bool, error) {
	v, ok, err := row.Find(loadField)
	return int(v.Bits), ok, err
}

// sees tells whether the snapshot in a place saw the transaction at hand.
func (j *joint) sees(place int) (bool, error) {
	if place < 0 || place >= len(j.progress.Snapshots) {
		return false, fmt.Errorf("cdc: a row was read under snapshot %d, which the progress of the load does not have", place)
	}
	return j.progress.Snapshots[place].Sees(j.xid), nil
}

// seen tells whether the row with a key was read when the transaction at hand had
// committed already.
func (j *joint) seen(ctx context.Context, relation string, table *schema.Table, key tuple.Row) (bool, error) {
	if j == nil || j.xid == 0 {
		return false, nil
	}
	if place, whole := j.progress.whole(relation); whole {
		return j.sees(place)
	}
	if !table.HasKey() {
		return false, nil
	}
	row, err := j.tables.state.Get(ctx, relation, key)
	if err != nil || row == nil {
		return false, err
	}
	place, ok, err := tag(row)
	if !ok || err != nil {
		return false, err
	}
	return j.sees(place)
}

// seenTable is seen for what has no key.
func (j *joint) seenTable(relation string) (bool, error) {
	if j == nil {
		return false, nil
	}
	if place, whole := j.progress.whole(relation); whole {
		return j.sees(place)
	}
	return false, nil
}

// empty removes the rows of a relation, but not those that were read later.
func (j *joint) empty(ctx context.Context, relation string) error {
	if seen, err := j.seenTable(relation); seen || err != nil {
		return err
	}
	var gone [][]byte
	err := j.tables.state.Scan(ctx, relation, func(key []byte, row tuple.Row) error {
		place, ok, err := tag(row)
		seen := false
		if ok && err == nil {
			seen, err = j.sees(place)
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
		err = j.tables.state.Delete(ctx, relation, key)
	}
	return err
}

// reread reads a row again, as the transaction at hand has left it or later. It gives nil
// where there is none any more, or all of its table is read when this is committed.
func (j *joint) reread(ctx context.Context, relation string, table *schema.Table, key tuple.Row) (tuple.Row, error) {
	if slices.Contains(j.altered, relation) {
		return nil, nil
	}
	row, err := j.loader.reread(ctx, table, key, j.xid)
	if errors.Is(err, errAltered) {
		j.altered = append(j.altered, relation)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cdc: reading a row of %s again: %w", relation, err)
	}
	return row, nil
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
