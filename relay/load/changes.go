package load

import (
	"context"
	"slices"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/replica"
	"github.com/pgcdc/cdc/clients/go/schema"
)

// What the stream tells that loads have to heed. It is looked for before the transaction is sent: what is noted then
// is there after a crash, when the transaction comes again.

// maxReread rows of a table are read again for one transaction; for more, its load begins anew.
const maxReread = 100

// movedRow is one whose key changes, and of which the stream does not have all.
type movedRow struct {
	table *Table
	of    *schema.Table
	key   cdc.Row
}

// found is what a transaction means for loads.
type found struct {
	entered []string // relations whose rows are to be read, behind it
	moved   []movedRow
}

// Before is called for a transaction of which the log has nothing yet.
func (l *Loader) Before(ctx context.Context, t *cdc.Txn) error {
	if !l.unfinished() && !(l.options.Initial && t.HasSchemaChanges()) {
		return nil
	}
	f, err := l.search(t)
	if err != nil {
		return err
	}
	for _, m := range f.moved {
		if slices.Contains(f.entered, m.table.Relation) {
			continue
		}
		if err := l.reread(ctx, t.XID, m); err != nil {
			if OfBus(err) || ctx.Err() != nil {
				return err
			}
			l.options.Logger.Info("a row that moves cannot be read by its key: the table's load begins anew", "relation", m.table.Relation, "error", err)
			f.entered = append(f.entered, m.table.Relation)
		}
	}
	if len(f.entered) == 0 {
		return nil
	}
	return l.enter(ctx, t, f.entered)
}

// search looks at all events of a transaction.
func (l *Loader) search(t *cdc.Txn) (f found, err error) {
	count := map[*Table]int{}
	for e, err := range t.Events() {
		if err != nil {
			return f, err
		}
		of := e.Table()
		if of == nil {
			continue
		}
		s, err := e.SchemaChange()
		switch {
		case err != nil:
			return f, err
		case s != nil:
			loading := l.progress.table(of.String()) != nil || s.Former() != "" && l.progress.table(s.Former()) != nil
			if s.Kind == change.SchemaEntered && (l.options.Initial || loading) || s.Former() != "" && loading {
				f.entered = append(f.entered, of.String())
			}
		case e.Op == cdc.OpUpdate && len(e.NewKey) > 0:
			table := l.progress.table(of.String())
			if table == nil || table.Topic == "" || len(table.Key) == 0 {
				continue
			}
			whole := of.ReplicaIdentity == schema.IdentityFull && l.options.OldFull
			if !whole {
				if whole, err = replica.WholeUpdate(of, e); err != nil {
					return f, err
				}
			}
			if whole {
				continue
			}
			if count[table]++; count[table] > maxReread {
				f.entered = append(f.entered, table.Relation)
				continue
			}
			f.moved = append(f.moved, movedRow{table, of, slices.Clone(e.NewKey)})
		}
	}
	return f, nil
}

// reread sends a row whose key changes in a transaction, before that one: of a table that is read in parts, the part with
// the former key may be read after it, and the one with the new key before, and then no one has read the row.
func (l *Loader) reread(ctx context.Context, xid uint32, m movedRow) error {
	key, err := replica.KeyText(m.of, m.table.Key, m.key)
	if err != nil { // a type that is no use for that, such as interval
		l.options.Logger.Info("a row that moves has a key that cannot be looked for", "relation", m.table.Relation, "error", err)
		return nil
	}
	return l.sight(ctx, func() error {
		return l.reader.Read(ctx, m.table.OID, cdc.TableRange{From: &key, To: &key}, func(v *cdc.TableView) error {
			if !v.Snapshot.Sees(xid) {
				return errUnseen
			}
			return l.look(m.table, v)
		}, func(b *cdc.Batch) error { return l.batch(ctx, m.table, b, 0) })
	})
}

// enter has relations be loaded behind a transaction.
func (l *Loader) enter(ctx context.Context, t *cdc.Txn, relations []string) error {
	slices.Sort(relations)
	for _, relation := range slices.Compact(relations) {
		table := l.progress.table(relation)
		found, err := l.reader.Find(ctx, relation)
		if err != nil {
			return err
		}
		switch {
		case found == nil && table != nil:
			table.again(t.CommitLSN)
		case found != nil:
			table = l.progress.add(found, t.CommitLSN)
		default:
			continue // it is gone since, or has another name: the stream will come to that
		}
		l.options.Logger.Info("a table is to be loaded, as the stream tells", "relation", relation, "load", table.Load)
	}
	l.forgetRanges()
	return l.save(ctx)
}
