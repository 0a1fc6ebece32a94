package replica

import (
	"cmp"
	"context"
	"errors"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/schema"
)

// What DDL commands have made of relations. The stream says it behind the rows that the
// command itself has written.

// beginnings are the places of the events with which rows of a new relation begin: rows that
// a command has written come before it is said that it has made the relation.
func beginnings(t *change.Txn) (map[int]bool, error) {
	anew, first, n := map[int]bool{}, map[string]int{}, 0
	for e, err := range t.Events() {
		if err != nil {
			return nil, err
		}
		if err := beginning(anew, first, e, n); err != nil {
			return nil, err
		}
		n++
	}
	return anew, nil
}

// beginning looks at one event. first has the places of the first rows of relations since
// these have had their name.
func beginning(anew map[int]bool, first map[string]int, e *change.Event, place int) error {
	relation := ""
	if table := e.Table(); table != nil {
		relation = table.String()
	}
	s, err := e.SchemaChange()
	if err != nil {
		return err
	}
	if s == nil {
		if _, found := first[relation]; !found {
			first[relation] = place
		}
		return nil
	}
	delete(first, s.Former())
	if s.Kind == change.SchemaCreated || s.Kind == change.SchemaEntered {
		if at, found := first[relation]; found {
			anew[at] = true
		}
	}
	return nil
}

// ended is a relation of which no more rows come.
func (a *Applier) ended(ctx context.Context, e *change.Event) error {
	s, err := e.SchemaChange()
	if err != nil {
		return err
	}
	former := s.Former()
	if a.joint.saw(former) {
		return nil // what has this name now is another one
	}
	delete(a.altered, former)
	if err := a.joint.leave(former); err != nil || s.Kind == change.SchemaLeft {
		return err
	}
	return a.forget(ctx, former)
}

// schemaChange is a relation that is made, altered or comes into the stream.
func (a *Applier) schemaChange(ctx context.Context, relation string, table *schema.Table, e *change.Event) error {
	s, err := e.SchemaChange()
	if err != nil {
		return err
	}
	if a.joint.saw(relation) {
		return a.gone(ctx, s.Former())
	}
	if s.Kind == change.SchemaAltered {
		return a.alter(ctx, cmp.Or(s.Former(), relation), relation, table)
	}
	if a.altered[relation] { // rows of the command came before
		return nil
	}
	if err := a.replace(ctx, relation); err != nil {
		return err
	}
	if s.Kind == change.SchemaEntered && a.loader != nil {
		return a.load(relation)
	}
	return a.follow(ctx, relation, table)
}

// gone drops what is held under the former name of a relation that was loaded under a later
// one.
func (a *Applier) gone(ctx context.Context, former string) error {
	if former == "" || a.joint.saw(former) {
		return nil
	}
	return a.replace(ctx, former)
}

// replace drops what is held under a name: the name has become that of another relation.
func (a *Applier) replace(ctx context.Context, relation string) error {
	delete(a.altered, relation)
	if err := a.joint.leave(relation); err != nil {
		return err
	}
	return a.forget(ctx, relation)
}

// alter follows a relation to a name and a schema.
func (a *Applier) alter(ctx context.Context, former, relation string, table *schema.Table) error {
	if former != relation {
		if err := a.renamed(ctx, former, relation); err != nil {
			return err
		}
	}
	if a.joint.waits(relation) {
		return nil
	}
	known, err := a.known(ctx, relation)
	if err != nil {
		return err
	}
	rewritten := a.altered[relation]
	delete(a.altered, relation)
	types := known != nil && known.Fingerprint == table.Fingerprint && !rewritten
	if a.loader != nil && (known == nil || types) {
		return a.load(relation)
	}
	if err := a.joint.leave(relation); err != nil {
		return err
	}
	_, err = a.reach(ctx, relation, table)
	return err
}

// renamed moves what is held under a former name, or is to be read under it.
func (a *Applier) renamed(ctx context.Context, former, relation string) error {
	if err := a.replace(ctx, relation); err != nil {
		return err
	}
	if a.joint.saw(former) {
		return nil // that is another one, which has the name now
	}
	if a.altered[former] {
		delete(a.altered, former)
		a.altered[relation] = true
	}
	if a.joint.waits(former) {
		if err := a.forget(ctx, former); err != nil {
			return err
		}
		return a.joint.move(former, relation)
	}
	if err := a.joint.leave(former); err != nil {
		return err
	}
	return a.rename(ctx, former, relation)
}

// lead takes a relation's rows to the schema of a row. skip: they are read again.
func (a *Applier) lead(ctx context.Context, relation string, table *schema.Table, e *change.Event) (skip bool, err error) {
	known, err := a.known(ctx, relation)
	if err != nil || known != nil && known.Fingerprint == table.Fingerprint {
		return false, err
	}
	a.altered[relation] = true
	if known != nil && a.joint.has(relation) && !e.RewriteStart {
		return true, a.load(relation) // it is of before what was read, or nothing tells of commands
	}
	return a.reach(ctx, relation, table)
}

// reach is follow where rows are read again that cannot be taken there: skip.
func (a *Applier) reach(ctx context.Context, relation string, table *schema.Table) (skip bool, err error) {
	err = a.follow(ctx, relation, table)
	if errors.Is(err, errConversion) && a.loader != nil {
		return true, a.load(relation)
	}
	return false, err
}

// load has a relation be read when the transaction at hand is committed.
func (a *Applier) load(relation string) error {
	if a.joint == nil {
		a.joint = a.loader.revive()
		a.joint.begin(a.xid)
	}
	return a.joint.load(relation)
}
