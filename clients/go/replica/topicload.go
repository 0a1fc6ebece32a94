package replica

import (
	"bytes"
	"context"
	"slices"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/topic"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// While a table is loaded, rows that were read (READ) remember the snapshot that they were read under, by its number: a
// transaction that it saw does nothing to them. What stands before such a row in the log, the
// snapshot has seen, so that the row is at least as new as what is held. A row that is missing
// meanwhile is gone when its range is read, or is read again: the log will come to it.

// reading is the snapshot that the last row was read under.
type reading struct {
	relation string
	snapshot *wal.Snapshot
	number   uint32
}

// read puts a row that was read.
func (p *place) read(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	s := e.Batch().Snapshot
	if s == nil {
		return fault.Damaged("a row that was read has no snapshot")
	}
	row, err := image(e)
	if err != nil {
		return err
	}
	next := p.notes.Next
	n := p.snapshot(relation, s)
	if !table.HasKey() {
		if err := p.readWhole(ctx, relation, n, n == next); err != nil {
			return err
		}
		return p.putWhole(ctx, relation, table, e, nil, row)
	}
	if err := p.dropPartial(ctx, relation, e.Key); err != nil {
		return err
	}
	return p.putWhole(ctx, relation, table, e, e.Key, tagged(row, int(n)))
}

// readWhole begins the rows of a table without a key anew, where they are read under another
// snapshot than before, or by another load (first: this is its first row): they have nothing by
// which those that are read again could be told.
func (p *place) readWhole(ctx context.Context, relation string, n uint32, first bool) error {
	s := p.reading.snapshot
	if _, began := p.notes.Loading[relation]; same(p.notes.Whole[relation], s) && !(began && first) {
		return nil
	}
	if p.notes.Whole == nil {
		p.notes.Whole = map[string]*wal.Snapshot{}
	}
	p.notes.Whole[relation], p.noted = s, true
	p.notes.Loads[relation] = map[uint32]*wal.Snapshot{n: s}
	return p.state.Truncate(ctx, relation)
}

func same(a, b *wal.Snapshot) bool {
	return a != nil && b != nil && a.XMin == b.XMin && a.XMax == b.XMax && slices.Equal(a.XIP, b.XIP)
}

// snapshot gives the number of one. What was read before a load began is not of it, though the
// snapshot is the same.
func (p *place) snapshot(relation string, s *wal.Snapshot) uint32 {
	if p.reading.relation == relation && same(p.reading.snapshot, s) {
		return p.reading.number
	}
	mark := p.notes.Loading[relation].Mark
	for n, known := range p.notes.Loads[relation] {
		if n >= mark && same(known, s) {
			p.reading = reading{relation, known, n}
			return n
		}
	}
	if p.notes.Loads == nil {
		p.notes.Loads = map[string]map[uint32]*wal.Snapshot{}
	}
	if p.notes.Loads[relation] == nil {
		p.notes.Loads[relation] = map[uint32]*wal.Snapshot{}
	}
	kept := &wal.Snapshot{XMin: s.XMin, XMax: s.XMax, XIP: slices.Clone(s.XIP)}
	p.reading = reading{relation, kept, p.notes.Next}
	p.notes.Loads[relation][p.notes.Next] = kept
	p.notes.Next, p.noted = p.notes.Next+1, true
	return p.reading.number
}

// pass forgets the snapshots that an event is behind: its transaction had not ended when
// they were made, and neither had those that come after it.
func (p *place) pass(e *change.Event) {
	b := e.Batch()
	if !b.HasTransaction || len(p.notes.Loads) == 0 {
		return
	}
	for relation, loads := range p.notes.Loads {
		for n, s := range loads {
			if future := (wal.Snapshot{XMin: s.XMax, XMax: s.XMax}); !future.Sees(b.Transaction.XID) {
				delete(loads, n)
				p.noted, p.reading = true, reading{}
			}
		}
		if len(loads) == 0 {
			delete(p.notes.Loads, relation)
		}
	}
}

// mark is the beginning or the end of a load.
func (p *place) mark(ctx context.Context, m *topic.Message) error {
	switch m.LoadMark {
	case "begin":
		if p.notes.Loading == nil {
			p.notes.Loading = map[string]load{}
		}
		p.notes.Loading[m.Relation] = load{Load: m.Load, Mark: p.notes.Next}
		p.notes.Next, p.noted, p.reading = p.notes.Next+1, true, reading{}
	case "end":
		l, ok := p.notes.Loading[m.Relation]
		if !ok || l.Load != m.Load {
			return nil // it began before this reader
		}
		delete(p.notes.Loading, m.Relation)
		p.noted = true
		return p.sweep(ctx, m.Relation, l)
	case topic.MarkGone:
		return p.gone(ctx, m.Event)
	}
	return nil
}

// gone removes the row with a key that has none at the source. What the snapshot saw, and is still to come, finds no row.
func (p *place) gone(ctx context.Context, e *change.Event) error {
	if e == nil || e.Table() == nil || e.Batch().Snapshot == nil {
		return fault.Damaged("a mark of a row that is gone has no key")
	}
	relation := e.Table().String()
	p.snapshot(relation, e.Batch().Snapshot)
	known, err := p.known(ctx, relation)
	if err != nil || known == nil {
		return err
	}
	if err := p.dropPartial(ctx, relation, e.Key); err != nil {
		return err
	}
	return p.state.Delete(ctx, relation, e.Key)
}

// load is one that has begun and not ended. Rows that change meanwhile have its mark, which is
// the number of no snapshot.
type load struct {
	Load uint64 `json:"load"`
	Mark uint32 `json:"mark"`
}

// sweep removes the rows that were there before a load, and have neither been read by it nor
// changed since: the source does not have them.
func (p *place) sweep(ctx context.Context, relation string, l load) error {
	table, err := p.known(ctx, relation)
	if err != nil || table == nil || !table.HasKey() {
		return err
	}
	var gone [][]byte
	err = p.state.Scan(ctx, relation, func(key []byte, row tuple.Row) error {
		n, ok, err := tag(row)
		if !ok || uint32(n) < l.Mark {
			gone = append(gone, bytes.Clone(key))
		}
		return err
	})
	for _, key := range gone {
		if err != nil {
			return err
		}
		err = p.state.Delete(ctx, relation, key)
	}
	return err
}

// marked gives a row that changes with the mark of the load that is going on.
func (p *place) marked(relation string, row tuple.Row) tuple.Row {
	l, ok := p.notes.Loading[relation]
	if !ok || p.converting {
		return row
	}
	if _, has, err := tag(row); has || err != nil {
		return row
	}
	return tagged(row[:len(row):len(row)], int(l.Mark))
}

// loading tells whether rows of a relation may be missing, or be newer than what comes.
func (p *place) loading(relation string) bool {
	_, began := p.notes.Loading[relation]
	return began || len(p.notes.Loads[relation]) > 0
}

// sawAll tells whether a table without a key was read when an event's transaction had committed
// already.
func (p *place) sawAll(relation string, e *change.Event) bool {
	if p.notes.Whole[relation] == nil {
		return false
	}
	for _, s := range p.notes.Loads[relation] {
		if s.Sees(e.Batch().Transaction.XID) {
			return true
		}
	}
	return false
}

// saw tells whether the row with a key was read when an event's transaction had committed already.
func (p *place) saw(ctx context.Context, relation string, key tuple.Row, e *change.Event) (bool, error) {
	if !p.loading(relation) || len(key) == 0 {
		return false, nil
	}
	row, err := p.state.Get(ctx, relation, key)
	if err != nil || row == nil {
		return false, err
	}
	return p.sawRow(relation, row, e)
}

func (p *place) sawRow(relation string, row tuple.Row, e *change.Event) (bool, error) {
	n, ok, err := tag(row)
	if !ok || err != nil {
		return false, err
	}
	s := p.notes.Loads[relation][uint32(n)]
	return s != nil && s.Sees(e.Batch().Transaction.XID), nil
}
