package replica

import (
	"bytes"
	"context"
	"errors"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/topic"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// place is what a TopicApplier holds of one order of messages: tables of its own, under names
// of their own in the State.
type place struct {
	Applier
	applier *TopicApplier
	name    string
	notes   placeNotes
	noted   bool // notes are not stored yet
	reading reading
	// converting: rows are written anew that have not changed.
	converting bool
}

// placeNotes are what has to be known of a place besides rows.
type placeNotes struct {
	// Left are relations of which no more rows came; what is held is as of then.
	Left map[string]bool `json:"left,omitempty"`
	// Began are relations whose first row since they have their name came in the transaction
	// with this commit, before it was told that they are new.
	Began map[string]wal.LSN `json:"began,omitempty"`
	// Partials are the numbers of rows that are not whole, by relation.
	Partials map[string]int `json:"partials,omitempty"`
	// Whole are the snapshots that tables without a key were read under last.
	Whole map[string]*wal.Snapshot `json:"whole,omitempty"`
	// Loads are the snapshots that rows were read under, by relation and number.
	Loads map[string]map[uint32]*wal.Snapshot `json:"loads,omitempty"`
	// Loading are relations that are being loaded.
	Loading map[string]load `json:"loading,omitempty"`
	// Next is the number of the next snapshot.
	Next uint32 `json:"next,omitempty"`
}

// event applies one.
func (p *place) event(ctx context.Context, e *change.Event, role topic.Role) error {
	switch {
	case e.Op == change.OpMessage:
		return nil
	case e.Failed():
		return failureOf(e)
	case e.Op == change.OpSchema:
		return p.schemaEvent(ctx, e)
	}
	table := e.Table()
	if table == nil {
		return &schema.UnknownSchemaError{Fingerprint: e.Fingerprint}
	}
	relation := table.String()
	p.pass(e)
	if err := p.begun(ctx, relation, e); err != nil {
		return err
	}
	if e.RewriteStart || e.Op == change.OpTruncate {
		if err := p.empty(ctx, relation, e); err != nil {
			return err
		}
	}
	if err := p.follow(ctx, relation, table); err != nil {
		return err
	}
	if e.Op == change.OpTruncate || role == topic.RoleElsewhere {
		return nil
	}
	return p.row(ctx, relation, table, e, role)
}

// begun drops what is held of a relation that has left the stream, or notes that rows of a new
// one begin.
func (p *place) begun(ctx context.Context, relation string, e *change.Event) error {
	known, err := p.known(ctx, relation)
	if err != nil {
		return err
	}
	if p.notes.Left[relation] {
		if err := p.replace(ctx, relation); err != nil {
			return err
		}
		known = nil
	}
	if known == nil {
		if err := p.claim(ctx, relation, e); err != nil {
			return err
		}
	}
	if known == nil && e.Op != change.OpRead {
		if p.notes.Began == nil {
			p.notes.Began = map[string]wal.LSN{}
		}
		p.notes.Began[relation], p.noted = e.Position().CommitLSN, true
	}
	return nil
}

func (p *place) row(ctx context.Context, relation string, table *schema.Table, e *change.Event, role topic.Role) error {
	keyed := table.HasKey() && len(e.Key) > 0
	switch {
	case e.Op == change.OpRead:
		return p.read(ctx, relation, table, e)
	case keyed && (e.Op == change.OpInsert || e.Op == change.OpRewrite):
		return p.inserted(ctx, relation, table, e)
	case !keyed && p.sawAll(relation, e):
		return nil
	case !keyed:
		return p.change(ctx, relation, table, e) // by the whole old row, if at all
	case e.Op == change.OpDelete:
		return p.deleted(ctx, relation, e)
	case e.Op != change.OpUpdate:
		return fault.Damaged("unknown operation")
	case role == topic.RoleOld:
		return p.moveOut(ctx, relation, table, e)
	case role == topic.RoleNew:
		return p.moveIn(ctx, relation, table, e)
	}
	return p.updated(ctx, relation, table, e)
}

func (p *place) inserted(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	row, err := image(e)
	if err != nil {
		return err
	}
	if seen, err := p.saw(ctx, relation, e.Key, e); seen || err != nil {
		return err
	}
	if err := p.dropPartial(ctx, relation, e.Key); err != nil {
		return err
	}
	return p.putWhole(ctx, relation, table, e, e.Key, row)
}

// updated is an UPDATE that leaves the row where it is, or moves it within the one order that
// there is.
func (p *place) updated(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	after := e.Key
	if len(e.NewKey) > 0 {
		after = e.NewKey
	}
	oldSeen, err := p.saw(ctx, relation, e.Key, e)
	if err != nil {
		return err
	}
	newSeen := oldSeen
	base, err := p.state.Get(ctx, relation, e.Key)
	if err != nil {
		return err
	}
	base = bytes.Clone(base)
	if !bytes.Equal(after, e.Key) {
		if newSeen, err = p.saw(ctx, relation, after, e); err != nil {
			return err
		}
		if !oldSeen {
			if err := p.state.Delete(ctx, relation, e.Key); err != nil {
				return err
			}
		}
	}
	whole, err := p.applier.isWhole(table, e)
	switch {
	case err != nil || newSeen:
		return err
	case base != nil && !oldSeen:
		return p.overlaid(ctx, relation, table, e, base, after)
	case whole:
		return p.putMoved(ctx, relation, table, e, after)
	}
	if found, err := p.updatePartial(ctx, relation, table, e); found || err != nil {
		return err
	}
	return p.missing(e, relation)
}

// missing is a change of a row that is not there.
func (p *place) missing(e *change.Event, relation string) error {
	if p.loading(relation) {
		return nil
	}
	return p.lost(e, relation, "there is no such row")
}

// putMoved puts a row of which an UPDATE has all.
func (p *place) putMoved(ctx context.Context, relation string, table *schema.Table, e *change.Event, key tuple.Row) error {
	if err := p.dropPartial(ctx, relation, key); err != nil {
		return err
	}
	return p.overlaid(ctx, relation, table, e, e.Old, key)
}

func (p *place) deleted(ctx context.Context, relation string, e *change.Event) error {
	if seen, err := p.saw(ctx, relation, e.Key, e); seen || err != nil {
		return err
	}
	if err := p.dropPartial(ctx, relation, e.Key); err != nil {
		return err
	}
	return p.state.Delete(ctx, relation, e.Key)
}

// empty removes the rows of a relation that the place holds, but not those that were read later.
func (p *place) empty(ctx context.Context, relation string, e *change.Event) error {
	if p.sawAll(relation, e) {
		return nil
	}
	if err := p.dropPartials(ctx, relation); err != nil {
		return err
	}
	if !p.loading(relation) || p.notes.Whole[relation] != nil {
		return p.state.Truncate(ctx, relation)
	}
	var gone [][]byte
	err := p.state.Scan(ctx, relation, func(key []byte, row tuple.Row) error {
		seen, err := p.sawRow(relation, row, e)
		if !seen {
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

// schemaEvent is what a command has made of a relation.
func (p *place) schemaEvent(ctx context.Context, e *change.Event) error {
	s, err := e.SchemaChange()
	if err != nil {
		return err
	}
	former := s.Former()
	switch s.Kind {
	case change.SchemaLeft:
		p.leave(former)
		return nil
	case change.SchemaDropped:
		return p.replace(ctx, former)
	}
	table := e.Table()
	if table == nil {
		return &schema.UnknownSchemaError{Fingerprint: e.Fingerprint}
	}
	relation := table.String()
	began, rows := p.notes.Began[relation]
	switch {
	case s.Kind == change.SchemaAltered && former != "" && former != relation:
		err = p.renamed(ctx, former, relation, e)
	case s.Kind == change.SchemaAltered:
		err = p.altered(ctx, relation, e)
	case !rows || began != e.Position().CommitLSN: // or rows of the command came before
		err = p.replace(ctx, relation)
	}
	if err != nil {
		return err
	}
	delete(p.notes.Left, relation)
	p.noted = true
	return p.follow(ctx, relation, table)
}

// altered sees to it that what is held of a relation is held here.
func (p *place) altered(ctx context.Context, relation string, e *change.Event) error {
	known, err := p.known(ctx, relation)
	if err != nil || known != nil {
		return err
	}
	return p.claim(ctx, relation, e)
}

func (p *place) leave(relation string) {
	if p.notes.Left == nil {
		p.notes.Left = map[string]bool{}
	}
	p.notes.Left[relation], p.noted = true, true
}

// renamed gives what is held of a relation another name.
func (p *place) renamed(ctx context.Context, former, relation string, e *change.Event) error {
	if err := p.replace(ctx, relation); err != nil {
		return err
	}
	others, err := p.holders(ctx, relation)
	if err != nil {
		return err
	}
	if len(others) > 0 { // its topic is that of the new name already
		err := p.unlessEmpty(ctx, former, errHeld)
		if errors.Is(err, errHeld) {
			err = p.moved(e, relation)
		}
		if err != nil {
			return err
		}
		return p.replace(ctx, former)
	}
	if err := p.renamePartials(ctx, former, relation); err != nil {
		return err
	}
	if loads := p.notes.Loads[former]; loads != nil {
		p.notes.Loads[relation] = loads
		delete(p.notes.Loads, former)
	}
	if load, ok := p.notes.Loading[former]; ok {
		p.notes.Loading[relation] = load
		delete(p.notes.Loading, former)
	}
	if whole := p.notes.Whole[former]; whole != nil {
		p.notes.Whole[relation] = whole
		delete(p.notes.Whole, former)
	}
	delete(p.notes.Began, former)
	delete(p.notes.Left, former)
	p.converting, p.noted = true, true
	defer func() { p.converting = false }()
	return p.rename(ctx, former, relation)
}

// follow is that of tables, which does not change rows.
func (p *place) follow(ctx context.Context, relation string, table *schema.Table) error {
	p.converting = true
	defer func() { p.converting = false }()
	return p.tables.follow(ctx, relation, table)
}

// replace forgets what is held under a name: what has it from here on is another relation.
func (p *place) replace(ctx context.Context, relation string) error {
	if err := p.dropPartials(ctx, relation); err != nil {
		return err
	}
	delete(p.notes.Left, relation)
	delete(p.notes.Began, relation)
	delete(p.notes.Loads, relation)
	delete(p.notes.Whole, relation)
	delete(p.notes.Loading, relation)
	p.noted = true
	return p.forget(ctx, relation)
}
