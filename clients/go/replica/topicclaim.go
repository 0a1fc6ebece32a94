package replica

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/pgcdc/cdc/clients/go/change"
)

// A table has another topic when its name or its major version is another. Rows cannot follow
// there: between topics nothing tells which message was first, nor in which partition a row
// belongs.

// topicOf gives the topic of a place.
func topicOf(place string) string {
	if at := strings.LastIndexByte(place, '/'); at >= 0 {
		return place[:at]
	}
	return place
}

// holders are the places of other topics that have rows of a relation.
func (p *place) holders(ctx context.Context, relation string) (list []*place, err error) {
	for _, name := range p.applier.progress.Places() {
		if topicOf(name) == topicOf(p.name) {
			continue
		}
		other, err := p.applier.place(ctx, name)
		if err != nil {
			return nil, err
		}
		err = other.unlessEmpty(ctx, relation, errHeld)
		switch {
		case errors.Is(err, errHeld) || other.notes.Partials[relation] > 0:
			list = append(list, other)
		case err != nil:
			return nil, err
		}
	}
	return list, nil
}

var errHeld = errors.New("held by another topic")

// claim has a relation be of this place's topic from here on.
func (p *place) claim(ctx context.Context, relation string, e *change.Event) error {
	others, err := p.holders(ctx, relation)
	if err != nil {
		return err
	}
	held := func(other *place) bool { return !other.notes.Left[relation] }
	if slices.ContainsFunc(others, held) {
		if err := p.moved(e, relation); err != nil {
			return err
		}
	}
	for _, other := range others {
		if err := other.replace(ctx, relation); err != nil {
			return err
		}
	}
	return nil
}

// moved asks what to do about rows that stay behind in another topic.
func (p *place) moved(e *change.Event, relation string) error {
	lost := &LostError{Position: e.Position(), Op: e.Op, Relation: relation,
		Why: "the table has another topic now, and rows do not follow from one topic to another: load it again"}
	if ask := p.applier.OnLost; ask != nil {
		p.applier.asked = true
		return ask(p.applier.message, lost)
	}
	return lost
}
