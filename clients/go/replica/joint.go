package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// A row of an initial load remembers the snapshot that it was read under, in a
// field of its own beyond those of columns: the snapshot's place in the list. A
// transaction that the snapshot saw does nothing to the row.
const loadField = 4000

// joint is where an initial load and the stream meet. Transactions that a snapshot of the
// load saw change nothing in what was read under it. Where there is no load, it is nil. A
// relation is in the progress from when it is to be loaded until the stream has passed its
// load: that is at the latest where it is altered, since what comes then no snapshot saw.
type joint struct {
	tables   *tables
	progress *LoadProgress
	loader   *Loader

	xid    uint32          // of the transaction at hand
	passed map[string]bool // whether all that was read of a relation saw it
}

// begin takes up the next transaction.
func (j *joint) begin(xid uint32) {
	if j != nil {
		j.xid, j.passed = xid, map[string]bool{}
	}
}

// ends tells whether the stream is behind all that was read.
func (j *joint) ends(commit wal.LSN) bool {
	return j != nil && commit > j.progress.EndLSN && len(j.progress.pending()) == 0
}

// reload reads what is to be read, between transactions. What is not there yet, or not any
// more, stays to be read: the stream will tell what has become of it.
func (j *joint) reload(ctx context.Context) error {
	if j == nil {
		return nil
	}
	for _, relation := range j.progress.pending() {
		if err := j.loader.reload(ctx, j.progress.relation(relation), j.xid); err != nil {
			return fmt.Errorf("cdc: loading %s: %w", relation, err)
		}
	}
	return nil
}

// has tells whether a relation is loaded, or is to be.
func (j *joint) has(relation string) bool { return j != nil && j.progress.relation(relation) != nil }

// waits tells whether a relation is to be read: then what happens to its rows is in what
// will be.
func (j *joint) waits(relation string) bool {
	return j.has(relation) && !j.progress.relation(relation).done()
}

// saw tells whether everything that was read of a relation is of after the transaction at
// hand, which then changes nothing in it.
func (j *joint) saw(relation string) bool {
	if !j.has(relation) || j.waits(relation) {
		return false
	}
	passed, asked := j.passed[relation]
	if !asked {
		passed = j.progress.seenByAll(j.progress.relation(relation), j.xid)
		j.passed[relation] = passed
	}
	return passed
}

// leave ends the load of a relation: the stream has passed it.
func (j *joint) leave(relation string) error {
	if j == nil || !j.progress.remove(relation) {
		return nil
	}
	delete(j.passed, relation)
	return j.loader.Progress.Save(j.progress)
}

// load has a relation be read after the transaction at hand.
func (j *joint) load(relation string) error {
	j.progress.add(relation)
	delete(j.passed, relation)
	return j.loader.Progress.Save(j.progress)
}

// move gives a relation that is to be read another name.
func (j *joint) move(from, to string) error {
	j.progress.remove(to)
	t := j.progress.relation(from)
	t.Relation, t.Name = to, to
	return j.loader.Progress.Save(j.progress)
}

// isWhole tells whether a relation was read under a single snapshot.
func (j *joint) isWhole(relation string) bool {
	_, whole := j.progress.whole(relation)
	return whole
}

// superseded tells whether an event changes nothing, since its relation was read later or
// will be.
func (j *joint) superseded(relation string) bool { return j.waits(relation) || j.saw(relation) }

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
	if j == nil || j.xid == 0 || !j.has(relation) {
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
	if !j.has(relation) {
		return j.tables.state.Truncate(ctx, relation)
	}
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
// where there is none any more, or all of its table is read when this is committed, or the
// table had another name when it was loaded, which the stream will come to.
func (j *joint) reread(ctx context.Context, relation string, table *schema.Table, key tuple.Row) (tuple.Row, error) {
	if !j.has(relation) || j.waits(relation) {
		return nil, nil
	}
	row, err := j.loader.reread(ctx, j.progress.relation(relation), table, key, j.xid)
	if errors.Is(err, errAltered) || isGone(err) {
		return nil, j.load(relation)
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
