package replica

import (
	"bytes"
	"context"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// Rows of a place that are not whole yet, by their key: the entry that has what is known.

// partials names the relation of the State where they are.
func partials(relation string) string { return partialRelation + " " + relation }

// partial gives the entry of a row that is not whole, "" if there is none.
func (p *place) partial(ctx context.Context, relation string, key []byte) (string, error) {
	if p.notes.Partials[relation] == 0 {
		return "", nil
	}
	name, err := p.state.Get(ctx, partials(relation), key)
	return string(name), err
}

// setPartial notes the entry of one; "": there is none any more.
func (p *place) setPartial(ctx context.Context, relation string, key []byte, name string) error {
	former, err := p.partial(ctx, relation, key)
	switch {
	case err != nil:
		return err
	case name == "":
		if former != "" {
			p.countPartials(relation, -1)
		}
		return p.state.Delete(ctx, partials(relation), key)
	case former == "":
		p.countPartials(relation, 1)
	}
	return p.state.Put(ctx, partials(relation), key, tuple.Row(name))
}

func (p *place) countPartials(relation string, n int) {
	if p.notes.Partials == nil {
		p.notes.Partials = map[string]int{}
	}
	p.notes.Partials[relation] += n
	if p.notes.Partials[relation] == 0 {
		delete(p.notes.Partials, relation)
	}
	p.noted = true
}

// updatePartial updates one, if there is.
func (p *place) updatePartial(ctx context.Context, relation string, table *schema.Table, e *change.Event) (bool, error) {
	name, err := p.partial(ctx, relation, e.Key)
	if err != nil || name == "" {
		return false, err
	}
	return true, p.applier.changeEntry(ctx, name, func(entry *moving) error {
		return entry.update(table, delta(e, e.Key), e.Nulls.Slice())
	})
}

// dropPartial drops the one with a key, if there is.
func (p *place) dropPartial(ctx context.Context, relation string, key []byte) error {
	name, err := p.partial(ctx, relation, key)
	if err != nil || name == "" {
		return err
	}
	if err := p.applier.unwanted(ctx, name); err != nil {
		return err
	}
	return p.setPartial(ctx, relation, key, "")
}

// allPartials gives those of a relation.
func (p *place) allPartials(ctx context.Context, relation string) (keys [][]byte, names []string, err error) {
	if p.notes.Partials[relation] == 0 {
		return nil, nil, nil
	}
	err = p.state.Scan(ctx, partials(relation), func(key []byte, name tuple.Row) error {
		keys, names = append(keys, bytes.Clone(key)), append(names, string(name))
		return nil
	})
	return keys, names, err
}

// dropPartials drops those of a relation.
func (p *place) dropPartials(ctx context.Context, relation string) error {
	_, names, err := p.allPartials(ctx, relation)
	if err != nil || len(names) == 0 {
		return err
	}
	for _, name := range names {
		if err := p.applier.unwanted(ctx, name); err != nil {
			return err
		}
	}
	p.countPartials(relation, -len(names))
	return p.state.Truncate(ctx, partials(relation))
}

// renamePartials has them be of another relation.
func (p *place) renamePartials(ctx context.Context, from, to string) error {
	keys, names, err := p.allPartials(ctx, from)
	if err != nil || len(names) == 0 {
		return err
	}
	for i, name := range names {
		err := p.applier.changeEntry(ctx, name, func(entry *moving) error {
			entry.At.Relation = to
			return nil
		})
		if err == nil {
			err = p.setPartial(ctx, to, keys[i], name)
		}
		if err != nil {
			return err
		}
	}
	p.countPartials(from, -len(names))
	return p.state.Truncate(ctx, partials(from))
}
