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
// deltas of UPDATE, changes of keys, TRUNCATE, rewrites, new and dropped columns.
// Transactions that are applied already are skipped. It is not safe for
// concurrent use.
type Applier struct {
	// OnLost is asked about a LostError. With nil, or when it returns an error, Apply
	// fails; else the change is passed over.
	OnLost func(e *change.Event, err *LostError) error

	state   State
	load    *loading // nil: nothing is being loaded
	tables  map[string]*schema.Table
	applied *wal.Position
	key     []byte
	xid     uint32
}

// NewApplier applies to a state, from where it is.
func NewApplier(state State) *Applier {
	return &Applier{state: state, tables: map[string]*schema.Table{}}
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
	a.xid = t.XID
	if a.load != nil && t.CommitLSN > a.load.progress.EndLSN {
		a.load = nil // it is behind all that was read
	}
	if err := a.loadAltered(ctx, t); err != nil {
		return err
	}
	for e, err := range t.Events() {
		if err == nil {
			err = a.event(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	p := t.Position()
	if err := a.state.Commit(ctx, p); err != nil {
		return err
	}
	a.applied = &p
	return a.reload(ctx)
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

func (a *Applier) event(ctx context.Context, e *change.Event) error {
	if e.Op == change.OpMessage {
		return nil
	}
	if e.Failed() {
		failure, err := e.Failure()
		if err != nil {
			return err
		}
		return failure
	}
	table := e.Table()
	if table == nil {
		return &schema.UnknownSchemaError{Fingerprint: e.Fingerprint}
	}
	relation := table.String()
	if old, err := a.superseded(ctx, relation, table); old || err != nil {
		return err
	}
	if e.RewriteStart {
		if err := a.empty(ctx, relation); err != nil {
			return err
		}
	}
	if err := a.follow(ctx, relation, table); err != nil {
		return err
	}
	var err error
	switch e.Op {
	case change.OpInsert, change.OpRead, change.OpRewrite:
		err = a.insert(ctx, relation, table, e)
	case change.OpUpdate:
		err = a.update(ctx, relation, table, e)
	case change.OpDelete:
		err = a.delete(ctx, relation, table, e)
	case change.OpTruncate:
		err = a.empty(ctx, relation)
	default:
		err = fault.Damaged("unknown operation")
	}
	var lost *LostError
	if errors.As(err, &lost) && a.OnLost != nil {
		return a.OnLost(e, lost)
	}
	return err
}

func (a *Applier) lost(e *change.Event, relation, why string) error {
	return &LostError{Position: e.Position(), Op: e.Op, Relation: relation, Why: why}
}

func (a *Applier) insert(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	row, err := tuple.Sorted(append(bytes.Clone(e.Key), e.New...))
	if err != nil {
		return err
	}
	if skip, err := a.seen(ctx, relation, table, e.Key); skip || err != nil {
		return err
	}
	if err := a.put(ctx, relation, table, e.Key, row); err != nil {
		return err
	}
	if !e.Unavailable.Empty() {
		return a.lost(e, relation, "a value is not in the WAL")
	}
	return nil
}

func (a *Applier) update(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	var base tuple.Row
	var err error
	switch {
	case table.HasKey() && len(e.Key) > 0:
		return a.updateKeyed(ctx, relation, table, e)
	case table.ReplicaIdentity == schema.IdentityFull && !table.HasKey():
		if seen, err := a.seenTable(relation); seen || err != nil {
			return err
		}
		if base, err = tuple.Sorted(e.Old); err == nil {
			var found bool
			if found, err = a.remove(ctx, relation, base); err == nil && !found {
				return a.lost(e, relation, "there is no such row")
			}
		}
	default:
		return a.lost(e, relation, "the WAL does not say which row it was")
	}
	if err != nil {
		return err
	}
	return a.overlaid(ctx, relation, table, e, base, nil)
}

func (a *Applier) updateKeyed(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	after := e.Key
	if len(e.NewKey) > 0 {
		after = e.NewKey
	}
	moved := !bytes.Equal(after, e.Key)
	oldSeen, err := a.seen(ctx, relation, table, e.Key)
	if err != nil {
		return err
	}
	newSeen := oldSeen
	if moved {
		if newSeen, err = a.seen(ctx, relation, table, after); err != nil {
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
	if newSeen {
		return nil // the row is there already as it became later
	}
	if base == nil || oldSeen {
		if a.load == nil {
			return a.lost(e, relation, "there is no such row")
		}
		return a.incomplete(ctx, relation, table, e, after)
	}
	return a.overlaid(ctx, relation, table, e, base, after)
}

// overlaid puts the row after an UPDATE.
func (a *Applier) overlaid(ctx context.Context, relation string, table *schema.Table, e *change.Event, base tuple.Row, key tuple.Row) error {
	row, err := tuple.Overlay(nil, base, append(bytes.Clone(key), e.New...), e.Nulls)
	if err != nil {
		return err
	}
	if row, err = tuple.Sorted(WithoutLoadMark(row)); err != nil {
		return err
	}
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
		if skip, err := a.seen(ctx, relation, table, e.Key); skip || err != nil {
			return err
		}
		return a.state.Delete(ctx, relation, e.Key)
	case table.ReplicaIdentity == schema.IdentityFull && !table.HasKey():
		if seen, err := a.seenTable(relation); seen || err != nil {
			return err
		}
		row, err := tuple.Sorted(e.Old)
		if err != nil {
			return err
		}
		found, err := a.remove(ctx, relation, row)
		if err == nil && !found {
			return a.lost(e, relation, "there is no such row")
		}
		return err
	}
	return a.lost(e, relation, "the WAL does not say which row it was")
}

// put puts a row under its key; of tables that have none under its own bytes and a
// number, since there may be several that are equal.
func (a *Applier) put(ctx context.Context, relation string, table *schema.Table, key, row tuple.Row) error {
	if table.HasKey() {
		return a.state.Put(ctx, relation, key, row)
	}
	n, err := a.copies(ctx, relation, row)
	if err != nil {
		return err
	}
	return a.state.Put(ctx, relation, a.numbered(row, n), row)
}
