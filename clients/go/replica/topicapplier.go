package replica

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/topic"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// TopicApplier keeps tables as they are at the source by applying messages of topics to a
// State. Each place (a partition, or a stream that is one order) has its own rows and schemas:
// what happens to a table counts for what the place holds, however far others have come. Each
// key's changes are applied in their order, so that tables are the source's once all places
// have been read to the same end; before that, a row whose key changes may be missing.
//
// The progress of all places is in the State, and becomes durable with what was applied:
//
//	applier := cdc.NewTopicApplier(state)
//	for each record {
//		message, err := reader.Read(record)
//		err = applier.Apply(ctx, message)
//	}
//	err = applier.Commit(ctx) // now and then; then tell the broker
//
// A row whose key changes so that it comes to another partition is taken from one to the other
// where the event does not have all of it: under REPLICA IDENTITY FULL, and with large values
// that did not change. That needs one TopicApplier for all partitions of the topic. One that reads
// some of them only needs rows that are whole: see WholeOld.
//
// It is not safe for concurrent use.
type TopicApplier struct {
	// OnLost is asked about a LostError, which dead letters are, too. With nil, or when it
	// returns an error, Apply fails; else the message is passed over.
	OnLost func(m *topic.Message, err *LostError) error
	// WholeOld: the slot has the option old = full, so that events of tables with REPLICA
	// IDENTITY FULL have all of a row.
	WholeOld bool

	state    State
	places   map[string]*place
	progress *topic.Progress
	last     wal.Position
	message  *topic.Message // at hand
	asked    bool           // OnLost about it
}

// Relations of the State that are no tables: no table has such a name.
const (
	progressRelation = "@progress"
	placesRelation   = "@places"
	movingRelation   = "@moving"
	partialRelation  = "@partial"
)

// NewTopicApplier applies to a state, from where it is.
func NewTopicApplier(state State) *TopicApplier {
	return &TopicApplier{state: state, places: map[string]*place{}}
}

// Apply applies a message, unless that was done before. After an error, the state is to be
// taken back to its last commit, and a new TopicApplier made.
func (a *TopicApplier) Apply(ctx context.Context, m *topic.Message) error {
	progress, err := a.Progress(ctx)
	if err != nil {
		return err
	}
	isNew, err := progress.Take(m)
	if err != nil || !isNew {
		return err
	}
	if !m.Position.IsZero() {
		a.last = m.Position
	}
	a.message, a.asked = m, false
	err = a.apply(ctx, m)
	var lost *LostError
	if errors.As(err, &lost) && a.OnLost != nil && !a.asked {
		return a.OnLost(m, lost)
	}
	return err
}

func (a *TopicApplier) apply(ctx context.Context, m *topic.Message) error {
	switch m.Kind {
	case topic.DeadLetter:
		return &LostError{Position: m.Position, Op: opOf(m), Relation: m.Relation, Why: "it is among the dead letters: " + m.Letter.Reason}
	case topic.JSON:
		return &topic.UnsupportedError{ContentType: m.Header(topic.HeaderContent)}
	case topic.Reference:
		return &LostError{Position: m.Position, Op: opOf(m), Relation: m.Relation,
			Why: "it is too large for the bus, and only its key is there: read the row from the table"}
	case topic.Tombstone:
		return nil
	}
	p, err := a.place(ctx, m.Place)
	if err != nil {
		return err
	}
	if m.Kind == topic.Marker {
		return p.mark(ctx, m)
	}
	return p.event(ctx, m.Event, m.Role)
}

func opOf(m *topic.Message) change.Op {
	for op := change.OpInsert; op <= change.OpSchema; op++ {
		if m.Op == op.String()[len("OP_"):] {
			return op
		}
	}
	return 0
}

// Progress of all places, as of what was applied.
func (a *TopicApplier) Progress(ctx context.Context) (*topic.Progress, error) {
	if a.progress != nil {
		return a.progress, nil
	}
	stored, err := a.state.Get(ctx, progressRelation, []byte("progress"))
	if err != nil {
		return nil, err
	}
	p := new(topic.Progress)
	if stored != nil {
		if err := p.UnmarshalText(stored); err != nil {
			return nil, err
		}
	}
	a.progress = p
	return p, nil
}

// Commit makes durable what was applied, with the progress.
func (a *TopicApplier) Commit(ctx context.Context) error {
	progress, err := a.Progress(ctx)
	if err != nil {
		return err
	}
	text, err := progress.MarshalText()
	if err != nil {
		return err
	}
	if err := a.state.Put(ctx, progressRelation, []byte("progress"), text); err != nil {
		return err
	}
	for name, p := range a.places {
		if !p.noted {
			continue
		}
		text, err := json.Marshal(&p.notes)
		if err != nil {
			return err
		}
		if err := a.state.Put(ctx, placesRelation, []byte(name), text); err != nil {
			return err
		}
		p.noted = false
	}
	return a.state.Commit(ctx, a.last)
}

// Row gives a row, nil if there is none, and what table it is of. key has the key columns, as
// Event.Key does.
func (a *TopicApplier) Row(ctx context.Context, relation string, key []byte) (*schema.Table, tuple.Row, error) {
	progress, err := a.Progress(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range progress.Places() {
		p, err := a.place(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		row, err := p.state.Get(ctx, relation, key)
		if err != nil {
			return nil, nil, err
		}
		if row != nil {
			table, err := p.known(ctx, relation)
			return table, WithoutLoadMark(row), err
		}
	}
	return nil, nil, nil
}

// Rows calls f for every row of a relation, with the table that it is of: that of its place,
// which others may be ahead of. f changes nothing, and copies what it keeps.
func (a *TopicApplier) Rows(ctx context.Context, relation string, f func(table *schema.Table, row tuple.Row) error) error {
	progress, err := a.Progress(ctx)
	if err != nil {
		return err
	}
	for _, name := range progress.Places() {
		p, err := a.place(ctx, name)
		if err != nil {
			return err
		}
		table, err := p.known(ctx, relation)
		if err != nil {
			return err
		}
		err = p.state.Scan(ctx, relation, func(_ []byte, row tuple.Row) error { return f(table, WithoutLoadMark(row)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// Waiting is the number of changes of keys of which one of the two messages has come, and the
// other has not: 0 once all partitions have been read to the same end.
func (a *TopicApplier) Waiting(ctx context.Context) (n int, err error) {
	err = a.state.Scan(ctx, movingRelation, func([]byte, tuple.Row) error {
		n++
		return nil
	})
	return n, err
}

// place gives what is held of one.
func (a *TopicApplier) place(ctx context.Context, name string) (*place, error) {
	if p := a.places[name]; p != nil {
		return p, nil
	}
	p := &place{applier: a, name: name}
	p.Applier = Applier{tables: newTables(p.view(a.state))}
	stored, err := a.state.Get(ctx, placesRelation, []byte(name))
	if err != nil {
		return nil, err
	}
	if stored != nil {
		if err := json.Unmarshal(stored, &p.notes); err != nil {
			return nil, err
		}
	}
	a.places[name] = p
	return p, nil
}
