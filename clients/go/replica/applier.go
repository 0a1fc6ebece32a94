// Package replica keeps tables as they are at the source: an Applier applies transactions
// to a State, and a Loader reads into it what was there before the stream.
package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// ErrLost: a change says what happened, but not to which row, or not to which
// value: nothing that follows it of the table can be trusted.
var ErrLost = errors.New("cdc: the row that changed is not known")

// LostError is an ErrLost with its details.
type LostError struct {
	Position wal.Position
	Op       change.Op
	Relation string
	Why      string
}

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("cdc: %v of %s at %v: %s", e.Op, e.Relation, e.Position, e.Why)
}

// Is makes errors.Is(err, ErrLost) true.
func (e *LostError) Is(target error) bool { return target == ErrLost }

// Applier keeps tables as they are at the source by applying changes to a State:
// deltas of UPDATE, changes of keys, TRUNCATE, rewrites, new and dropped columns, and tables
// that are made, renamed, dropped, or come into the stream. With a Loader, rows that the stream
// does not have are read: of a table that comes into the stream with rows, or one of whose
// types has changed how values read.
// Transactions that are applied already are skipped. It is not safe for
// concurrent use.
type Applier struct {
	// OnLost is asked about a LostError. With nil, or when it returns an error, Apply
	// fails; else the change is passed over.
	OnLost func(e *change.Event, err *LostError) error

	*tables
	loader  *Loader
	joint   *joint // with an initial load; nil: nothing is being loaded
	applied *wal.Position

	xid     uint32          // of the transaction at hand
	anew    map[int]bool    // places of its events with which a new table begins
	altered map[string]bool // relations to whose schema rows of the transaction have led
}

// NewApplier applies to a state, from where it is.
func NewApplier(state State) *Applier {
	return &Applier{tables: newTables(state)}
}

// Apply applies a transaction, unless that was done before. After an error, the
// state is to be taken back to its last commit, and a new Applier made.
func (a *Applier) Apply(ctx context.Context, t *change.Txn) error {
	if t.Outcome != change.OutcomeCommitted {
		return fmt.Errorf("cdc: an Applier takes transactions that have committed, not %v", t.Outcome)
	}
	if a.applied == nil {
		p, err := a.state.Applied(ctx)
		if err != nil {
			return err
		}
		a.applied = &p
	}
	if t.CommitLSN <= a.applied.CommitLSN {
		return nil
	}
	if err := a.begin(t); err != nil {
		return err
	}
	n := 0
	for e, err := range t.Events() {
		if err == nil {
			err = a.event(ctx, e, n)
		}
		if err != nil {
			return err
		}
		n++
	}
	p := t.Position()
	if err := a.state.Commit(ctx, p); err != nil {
		return err
	}
	a.applied = &p
	return a.joint.reload(ctx)
}

// begin takes up a transaction.
func (a *Applier) begin(t *change.Txn) (err error) {
	if a.joint.ends(t.CommitLSN) {
		a.joint = nil
	}
	a.xid, a.altered, a.anew = t.XID, map[string]bool{}, nil
	a.joint.begin(t.XID)
	if t.HasSchemaChanges() {
		a.anew, err = beginnings(t)
	}
	return err
}

// Row gives a row of the state, nil if there is none. key has the key columns, as
// Event.Key does.
func (a *Applier) Row(ctx context.Context, relation string, key []byte) (tuple.Row, error) {
	row, err := a.state.Get(ctx, relation, key)
	if err != nil || row == nil {
		return nil, err
	}
	return WithoutLoadMark(row), nil
}

// Rows calls f for every row of a relation in the state, in any order. f changes nothing,
// and copies what it keeps.
func (a *Applier) Rows(ctx context.Context, relation string, f func(row tuple.Row) error) error {
	return a.state.Scan(ctx, relation, func(_ []byte, row tuple.Row) error { return f(WithoutLoadMark(row)) })
}

// event applies the one with a place in the transaction.
func (a *Applier) event(ctx context.Context, e *change.Event, place int) error {
	switch {
	case e.Op == change.OpMessage:
		return nil
	case e.Failed():
		return failureOf(e)
	case e.Op == change.OpSchema && e.Fingerprint == 0:
		return a.ended(ctx, e)
	}
	table := e.Table()
	if table == nil {
		return &schema.UnknownSchemaError{Fingerprint: e.Fingerprint}
	}
	relation := table.String()
	if e.Op == change.OpSchema {
		return a.schemaChange(ctx, relation, table, e)
	}
	if a.anew[place] && !a.joint.saw(relation) {
		if err := a.replace(ctx, relation); err != nil {
			return err
		}
	}
	if a.joint.superseded(relation) {
		return nil
	}
	if e.RewriteStart {
		if err := a.empty(ctx, relation); err != nil {
			return err
		}
	}
	if skip, err := a.lead(ctx, relation, table, e); skip || err != nil {
		return err
	}
	err := a.change(ctx, relation, table, e)
	var lost *LostError
	if errors.As(err, &lost) && a.OnLost != nil {
		return a.OnLost(e, lost)
	}
	return err
}

func (a *Applier) change(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	switch e.Op {
	case change.OpInsert, change.OpRead, change.OpRewrite:
		return a.insert(ctx, relation, table, e)
	case change.OpUpdate:
		return a.update(ctx, relation, table, e)
	case change.OpDelete:
		return a.delete(ctx, relation, table, e)
	case change.OpTruncate:
		return a.empty(ctx, relation)
	}
	return fault.Damaged("unknown operation")
}

// empty removes the rows of a relation, but not those that a load has read later.
func (a *Applier) empty(ctx context.Context, relation string) error {
	if a.joint == nil {
		return a.state.Truncate(ctx, relation)
	}
	return a.joint.empty(ctx, relation)
}

func (a *Applier) lost(e *change.Event, relation, why string) error {
	return &LostError{Position: e.Position(), Op: e.Op, Relation: relation, Why: why}
}

func (a *Applier) insert(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	row, err := image(e)
	if err != nil {
		return err
	}
	if skip, err := a.joint.seen(ctx, relation, table, e.Key); skip || err != nil {
		return err
	}
	return a.putWhole(ctx, relation, table, e, e.Key, row)
}

func (a *Applier) update(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	switch {
	case table.HasKey() && len(e.Key) > 0:
		return a.updateKeyed(ctx, relation, table, e)
	case table.ReplicaIdentity == schema.IdentityFull && !table.HasKey():
		if seen, err := a.joint.seenTable(relation); seen || err != nil {
			return err
		}
		before, err := a.removeOld(ctx, relation, e)
		if err != nil {
			return err
		}
		return a.overlaid(ctx, relation, table, e, before, nil)
	}
	return a.lost(e, relation, "the WAL does not say which row it was")
}

func (a *Applier) updateKeyed(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	after := e.Key
	if len(e.NewKey) > 0 {
		after = e.NewKey
	}
	moved := !bytes.Equal(after, e.Key)
	oldSeen, err := a.joint.seen(ctx, relation, table, e.Key)
	if err != nil {
		return err
	}
	newSeen := oldSeen
	if moved {
		if newSeen, err = a.joint.seen(ctx, relation, table, after); err != nil {
			return err
		}
	}
	base, err := a.state.Get(ctx, relation, e.Key)
	if err != nil {
		return err
	}
	base = bytes.Clone(base)
	if moved && !oldSeen {
		if err := a.state.Delete(ctx, relation, e.Key); err != nil {
			return err
		}
	}
	switch {
	case newSeen:
		return nil // the row is there already as it became later
	case base != nil && !oldSeen:
		return a.overlaid(ctx, relation, table, e, base, after)
	case a.joint == nil || a.joint.isWhole(relation):
		return a.lost(e, relation, "there is no such row")
	}
	return a.incomplete(ctx, relation, table, e, after)
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
	row, err := a.joint.reread(ctx, relation, table, key)
	if err != nil || row == nil {
		return err
	}
	return a.put(ctx, relation, table, key, row)
}

// overlaid puts the row after an UPDATE.
func (a *Applier) overlaid(ctx context.Context, relation string, table *schema.Table, e *change.Event, base, key tuple.Row) error {
	row, err := tuple.Overlay(nil, base, append(bytes.Clone(key), e.New...), e.Nulls)
	if err != nil {
		return err
	}
	if row, err = tuple.Sorted(WithoutLoadMark(row)); err != nil {
		return err
	}
	return a.putWhole(ctx, relation, table, e, key, row)
}

// putWhole puts a row of which the event says all, or that it does not.
func (a *Applier) putWhole(ctx context.Context, relation string, table *schema.Table, e *change.Event, key, row tuple.Row) error {
	if err := a.put(ctx, relation, table, key, row); err != nil {
		return err
	}
	if !e.Unavailable.Empty() {
		return a.lost(e, relation, "a value is not in the WAL")
	}
	return nil
}

func (a *Applier) delete(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	switch {
	case table.HasKey() && len(e.Key) > 0:
		if skip, err := a.joint.seen(ctx, relation, table, e.Key); skip || err != nil {
			return err
		}
		return a.state.Delete(ctx, relation, e.Key)
	case table.ReplicaIdentity == schema.IdentityFull && !table.HasKey():
		if seen, err := a.joint.seenTable(relation); seen || err != nil {
			return err
		}
		_, err := a.removeOld(ctx, relation, e)
		return err
	}
	return a.lost(e, relation, "the WAL does not say which row it was")
}

// removeOld removes the row before an event, of a table without a key.
func (a *Applier) removeOld(ctx context.Context, relation string, e *change.Event) (tuple.Row, error) {
	row, err := tuple.Sorted(e.Old)
	if err != nil {
		return nil, err
	}
	found, err := a.remove(ctx, relation, row)
	if err == nil && !found && !a.mayLack(relation) {
		err = a.lost(e, relation, "there is no such row")
	}
	return row, err
}

// mayLack tells whether rows of a relation may be missing: it was not loaded, or had another
// name then, which the stream will come to.
func (a *Applier) mayLack(relation string) bool { return a.joint != nil && !a.joint.has(relation) }
