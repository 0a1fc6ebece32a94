package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// A row whose key changes is told of twice, under the old key and under the new one, which may
// be in two partitions: whichever message comes first leaves something for the other, in an
// entry that both find by the change's position. The message under the old key leaves the row.
// The one under the new key, if it comes first, asks for it, and leaves what it knows of the
// row itself: it is kept there, and not among the rows, until it is whole.

// moving is an entry.
type moving struct {
	// Left: the message under the old key has come. Row is what it left; without one, and
	// without Waits, there was none.
	Left bool `json:"left,omitempty"`
	// Waits names the entry that has what is left, since it is not whole itself.
	Waits string `json:"waits,omitempty"`
	// Row, or what is known of it, and the columns that are known to be NULL; and the schema
	// of both.
	Row   []byte   `json:"row,omitempty"`
	Nulls []uint32 `json:"nulls,omitempty"`
	Table []byte   `json:"table,omitempty"`
	// At is where the row is that asks, In the entry that it has moved on to. Neither: nobody
	// wants it any more.
	At *rowAt `json:"at,omitempty"`
	In string `json:"in,omitempty"`
}

// rowAt is a row in a place.
type rowAt struct {
	Place    string `json:"place"`
	Relation string `json:"relation"`
	Key      []byte `json:"key"`
}

func entryName(relation string, e *change.Event) string {
	return e.Position().String() + " " + relation
}

func (a *TopicApplier) entry(ctx context.Context, name string) (*moving, error) {
	stored, err := a.state.Get(ctx, movingRelation, []byte(name))
	if err != nil || stored == nil {
		return nil, err
	}
	entry := new(moving)
	if err := json.Unmarshal(stored, entry); err != nil {
		return nil, fault.DamagedBy("state", err)
	}
	return entry, nil
}

func (a *TopicApplier) setEntry(ctx context.Context, name string, entry *moving) error {
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	return a.state.Put(ctx, movingRelation, []byte(name), text)
}

func (a *TopicApplier) dropEntry(ctx context.Context, name string) error {
	return a.state.Delete(ctx, movingRelation, []byte(name))
}

// change changes an entry that there is.
func (a *TopicApplier) changeEntry(ctx context.Context, name string, f func(entry *moving) error) error {
	entry, err := a.entry(ctx, name)
	if err == nil && entry == nil {
		err = fault.Damaged("the state lacks a row that moves")
	}
	if err == nil {
		err = f(entry)
	}
	if err != nil {
		return err
	}
	return a.setEntry(ctx, name, entry)
}

// unwanted notes that nobody waits for an entry any more.
func (a *TopicApplier) unwanted(ctx context.Context, name string) error {
	return a.changeEntry(ctx, name, func(entry *moving) error {
		*entry = moving{}
		return nil
	})
}

// base is the row that a move begins with.
type base struct {
	row   tuple.Row // whole
	waits string    // it is not whole, and kept in this entry
}

// take takes the row with a key out of the place.
func (p *place) take(ctx context.Context, relation string, key tuple.Row) (b base, err error) {
	row, err := p.state.Get(ctx, relation, key)
	if err != nil {
		return b, err
	}
	if row != nil {
		b.row = append(tuple.Row{}, WithoutLoadMark(row)...)
		return b, p.state.Delete(ctx, relation, key)
	}
	if b.waits, err = p.partial(ctx, relation, key); err != nil || b.waits == "" {
		return b, err
	}
	return b, p.setPartial(ctx, relation, key, "")
}

// moveOut is the message of a change under the old key.
func (p *place) moveOut(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	var b base
	seen, err := p.saw(ctx, relation, e.Key, e)
	if err == nil && !seen {
		b, err = p.take(ctx, relation, e.Key)
	}
	if err != nil {
		return err
	}
	whole, err := p.applier.isWhole(table, e)
	if err != nil {
		return err
	}
	if whole {
		return p.discard(ctx, b)
	}
	name := entryName(relation, e)
	asks, err := p.applier.entry(ctx, name)
	if err != nil {
		return err
	}
	if asks != nil {
		return p.give(ctx, relation, table, e, name, asks, b)
	}
	return p.leaveRow(ctx, table, e, name, b)
}

func (p *place) discard(ctx context.Context, b base) error {
	if b.waits == "" {
		return nil
	}
	return p.applier.unwanted(ctx, b.waits)
}

// leaveRow leaves a row for the message under the new key.
func (p *place) leaveRow(ctx context.Context, table *schema.Table, e *change.Event, name string, b base) error {
	left := &moving{Left: true, Waits: b.waits, Table: table.Bytes}
	switch {
	case b.row != nil:
		row, err := tuple.Overlay(nil, b.row, delta(e, e.NewKey), e.Nulls)
		if err != nil {
			return err
		}
		if left.Row, err = tuple.Sorted(row); err != nil {
			return err
		}
	case b.waits != "":
		err := p.applier.changeEntry(ctx, b.waits, func(entry *moving) error {
			entry.At, entry.In = nil, name
			return entry.update(table, delta(e, e.NewKey), e.Nulls.Slice())
		})
		if err != nil {
			return err
		}
	}
	return p.applier.setEntry(ctx, name, left)
}

// delta is what an UPDATE says of a row with a key.
func delta(e *change.Event, key tuple.Row) tuple.Row { return append(bytes.Clone(key), e.New...) }

// give gives a row to the one that has asked for it.
func (p *place) give(ctx context.Context, relation string, table *schema.Table, e *change.Event, name string, asks *moving, b base) error {
	a := p.applier
	if err := a.dropEntry(ctx, name); err != nil {
		return err
	}
	switch {
	case asks.At == nil && asks.In == "":
		return p.discard(ctx, b)
	case b.row == nil && b.waits == "":
		if err := a.settle(ctx, asks, "", nil); err != nil {
			return err
		}
		return p.missing(e, relation)
	case b.waits != "":
		err := a.changeEntry(ctx, b.waits, func(entry *moving) error {
			entry.At, entry.In = asks.At, asks.In
			return entry.over(asks)
		})
		if err != nil {
			return err
		}
		return a.settle(ctx, asks, b.waits, nil)
	}
	whole := &moving{Row: b.row, Table: table.Bytes}
	if err := whole.over(asks); err != nil {
		return err
	}
	return a.settle(ctx, asks, "", whole)
}

// settle tells the one that has asked: here is the whole row, or who has it now, or neither.
func (a *TopicApplier) settle(ctx context.Context, asks *moving, waits string, whole *moving) error {
	if asks.At == nil {
		return a.changeEntry(ctx, asks.In, func(entry *moving) error {
			entry.Waits = waits
			if whole != nil {
				entry.Row, entry.Table = whole.Row, whole.Table
			}
			return nil
		})
	}
	p, err := a.place(ctx, asks.At.Place)
	if err != nil {
		return err
	}
	if err := p.setPartial(ctx, asks.At.Relation, asks.At.Key, waits); err != nil || whole == nil {
		return err
	}
	table, err := p.known(ctx, asks.At.Relation)
	if err == nil && table == nil {
		err = fault.Damaged("the state lacks a schema")
	}
	if err == nil {
		err = whole.convert(table)
	}
	if err != nil {
		return err
	}
	return p.put(ctx, asks.At.Relation, table, keyOf(table, whole.Row), whole.Row)
}

// moveIn is the message of a change under the new key.
func (p *place) moveIn(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	seen, err := p.saw(ctx, relation, e.NewKey, e)
	if err != nil {
		return err
	}
	whole, err := p.applier.isWhole(table, e)
	if err != nil {
		return err
	}
	switch {
	case whole && seen:
		return nil // the row is there already as it became later
	case whole:
		return p.putMoved(ctx, relation, table, e, e.NewKey)
	}
	name := entryName(relation, e)
	left, err := p.applier.entry(ctx, name)
	if err != nil {
		return err
	}
	if !seen {
		if err := p.dropPartial(ctx, relation, e.NewKey); err != nil {
			return err
		}
	}
	if left == nil {
		return p.ask(ctx, relation, table, e, name, seen)
	}
	if err := p.applier.dropEntry(ctx, name); err != nil {
		return err
	}
	return p.receive(ctx, relation, table, e, left, seen)
}

// ask asks for the row before a change.
func (p *place) ask(ctx context.Context, relation string, table *schema.Table, e *change.Event, name string, seen bool) error {
	asks := new(moving)
	if !seen {
		asks.At = &rowAt{p.name, relation, e.NewKey}
		if err := asks.update(table, delta(e, e.NewKey), e.Nulls.Slice()); err != nil {
			return err
		}
		if err := p.setPartial(ctx, relation, e.NewKey, name); err != nil {
			return err
		}
	}
	return p.applier.setEntry(ctx, name, asks)
}

// receive takes what the message under the old key has left.
func (p *place) receive(ctx context.Context, relation string, table *schema.Table, e *change.Event, left *moving, seen bool) error {
	switch {
	case seen:
		return p.discard(ctx, base{waits: left.Waits})
	case left.Waits != "":
		err := p.applier.changeEntry(ctx, left.Waits, func(entry *moving) error {
			entry.At, entry.In = &rowAt{p.name, relation, e.NewKey}, ""
			return nil
		})
		if err != nil {
			return err
		}
		return p.setPartial(ctx, relation, e.NewKey, left.Waits)
	case left.Row == nil:
		return p.missing(e, relation)
	}
	if err := left.convert(table); err != nil {
		return err
	}
	return p.put(ctx, relation, table, e.NewKey, left.Row)
}

// convert takes an entry to a schema.
func (m *moving) convert(to *schema.Table) error {
	if len(m.Table) == 0 || bytes.Equal(m.Table, to.Bytes) {
		m.Table = to.Bytes
		return nil
	}
	from, err := schema.ParseTable(m.Table, schema.Limits{})
	if err != nil {
		return err
	}
	plan, err := planConversion(from, to)
	if err != nil {
		return err
	}
	if plan.needed {
		if m.Row, err = plan.row(m.Row); err != nil {
			return err
		}
		m.Nulls = slices.DeleteFunc(m.Nulls, func(n uint32) bool { return plan.gone[n] })
	}
	m.Table = to.Bytes
	return nil
}

// update puts what a later change says upon what is known of the row.
func (m *moving) update(table *schema.Table, delta tuple.Row, nulls []uint32) error {
	if err := m.convert(table); err != nil {
		return err
	}
	set, err := tuple.NumbersOf(delta)
	if err != nil {
		return err
	}
	row, err := tuple.Overlay(nil, m.Row, delta, numbers(nulls))
	if err != nil {
		return err
	}
	m.Row, err = tuple.Sorted(row)
	m.Nulls = append(slices.DeleteFunc(m.Nulls, func(n uint32) bool { return set.Has(n) || slices.Contains(nulls, n) }), nulls...)
	slices.Sort(m.Nulls)
	return err
}

// over puts what a row that asks knows upon this one, which it was before.
func (m *moving) over(asks *moving) error {
	table, err := schema.ParseTable(asks.Table, schema.Limits{})
	if err != nil {
		return err
	}
	return m.update(table, asks.Row, asks.Nulls)
}

func numbers(list []uint32) (n tuple.Numbers) {
	for _, number := range list {
		n = wire.AppendVarint(n, uint64(number))
	}
	return n
}
