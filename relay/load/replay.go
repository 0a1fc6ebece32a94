package load

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/replica"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/plan"
)

// Replayed is what has become of a dead letter.
type Replayed struct {
	// Sent rows, and keys that have none.
	Sent int `json:"sent,omitempty"`
	Gone int `json:"gone,omitempty"`
	// Error says why it cannot be done.
	Error string `json:"error,omitempty"`
}

// Letter is a dead letter, and which rows it is of.
type Letter struct {
	table *cdc.FoundTable
	of    *schema.Table // as the letter has it
	keys  []letterKey
	err   error // it cannot be sent again
}

// letterKey is a key as events have it, and as a range.
type letterKey struct {
	bytes cdc.Row
	text  string
}

// Letters finds out which rows letters are of, by the values of their messages. It takes nothing of a Loader, and is
// for any goroutine.
func Letters(ctx context.Context, reader *cdc.TableReader, values [][]byte) ([]*Letter, error) {
	missing, err := reader.MissingPrivileges(ctx)
	if err = errors.Join(append(Missing(missing), err)...); err != nil {
		return nil, err
	}
	columns := map[uint32][]string{}
	letters := make([]*Letter, len(values))
	for i, value := range values {
		letters[i] = &Letter{}
		letters[i].err = letters[i].find(ctx, reader, value, columns)
	}
	return letters, ctx.Err()
}

// find takes in the value of a letter. columns are those of keys in their order, by table.
func (t *Letter) find(ctx context.Context, reader *cdc.TableReader, value []byte, columns map[uint32][]string) error {
	e, err := eventOf(value)
	if err != nil {
		return fmt.Errorf("its value cannot be read: %w", err)
	}
	if t.of = e.Table(); t.of == nil || len(e.Key) == 0 && len(e.NewKey) == 0 {
		return errors.New("it has no key")
	}
	if t.table, err = reader.Find(ctx, t.of.String()); err != nil {
		return err
	}
	if t.table == nil {
		return errors.New("there is no such table any more")
	}
	order, ok := columns[t.table.OID]
	if !ok {
		if order, err = reader.KeyColumns(ctx, t.table.OID, t.of); err != nil {
			return err
		}
		columns[t.table.OID] = order
	}
	if len(order) == 0 {
		return errors.New("its key is redacted, and cannot be looked for")
	}
	for _, key := range []cdc.Row{e.Key, e.NewKey} {
		if len(key) == 0 {
			continue
		}
		text, err := replica.KeyText(t.of, order, key)
		if err != nil {
			return fmt.Errorf("its key cannot be looked for: %w", err)
		}
		t.keys = append(t.keys, letterKey{slices.Clone(key), text})
	}
	return nil
}

// eventOf is the event of a message's value.
func eventOf(value []byte) (*cdc.Event, error) {
	b, err := cdc.ParseBatch(value, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		return nil, err
	}
	c := b.Events()
	if !c.Next() {
		return nil, errors.Join(errors.New("there is no event"), c.Err())
	}
	return c.Event(), nil
}

// NotYet tells whether an error of Replay goes away by itself, soon.
func NotYet(err error) bool { return errors.Is(err, errUnseen) }

// Replay sends the rows that letters are of, as they are now. Whatever comes of it, it may be done again.
func (l *Loader) Replay(ctx context.Context, letters []*Letter) ([]Replayed, error) {
	l.progress.Loads++
	all := make([]Replayed, len(letters))
	for i, t := range letters {
		err := t.err
		if err == nil {
			err = l.replay(ctx, t, &all[i])
		}
		switch {
		case OfBus(err), errors.Is(err, errUnseen), ctx.Err() != nil:
			return nil, err
		case err != nil:
			all[i].Error = err.Error()
		}
	}
	if err := l.save(ctx); err != nil {
		return nil, err
	}
	if err := l.to.Bus.Flush(ctx); err != nil {
		return nil, &busError{err}
	}
	l.options.Logger.Info("rows of dead letters are sent again", "letters", len(letters), "load", l.progress.Loads)
	return all, nil
}

// replay sends the rows of a letter, or that there is none.
func (l *Loader) replay(ctx context.Context, t *Letter, done *Replayed) error {
	l.to.Plan.BeginRead(l.progress.Loads)
	defer l.to.Plan.EndRead()
	for i := range t.keys {
		found, empty, err := l.lookUp(ctx, t, &t.keys[i])
		switch {
		case err != nil:
			return err
		case found:
			done.Sent++
			continue
		}
		if err := l.sendGone(ctx, empty, t.keys[i].bytes); err != nil {
			return err
		}
		done.Gone++
	}
	return nil
}

// lookUp sends the row with a key, if there is one. empty is what the server has sent if there is none.
func (l *Loader) lookUp(ctx context.Context, t *Letter, key *letterKey) (found bool, empty []byte, err error) {
	look := func(v *cdc.TableView) error {
		if v.Relation != t.of.String() {
			return errors.New("the table has another name now")
		}
		if !l.seen.by(&v.Snapshot) {
			return errUnseen
		}
		return nil
	}
	use := func(b *cdc.Batch) error {
		if err := sameKey(t.of, b.Announced()); err != nil {
			return err
		}
		if b.Len() == 0 {
			empty = slices.Clone(b.Raw())
			return nil
		}
		found = true
		return l.sendRead(ctx, b)
	}
	err = l.sight(ctx, func() error {
		return l.reader.Read(ctx, t.table.OID, cdc.TableRange{From: &key.text, To: &key.text}, look, use)
	})
	return found, empty, err
}

// sameKey: a key of a letter is looked for as one that the table has now.
func sameKey(of *schema.Table, now []*cdc.Table) error {
	key := func(t *schema.Table) (columns []string) {
		for i := range t.Columns {
			if c := &t.Columns[i]; c.Key {
				columns = append(columns, fmt.Sprint(c.Number, c.Name, c.PgType, c.Redaction))
			}
		}
		return columns
	}
	for _, t := range now {
		if !slices.Equal(key(of), key(t)) {
			return errors.New("the table has another key now")
		}
	}
	return nil
}

// sendRead sends the row of a batch.
func (l *Loader) sendRead(ctx context.Context, b *cdc.Batch) error {
	c := b.Events()
	for c.Next() {
		e := c.Event()
		if e.Failed() {
			return errors.New("the server cannot encode the row")
		}
		messages, err := l.to.Plan.Event(ctx, e)
		if err := l.sendAgain(ctx, messages, err); err != nil {
			return err
		}
	}
	return c.Err()
}

// sendAgain sends messages that are no letters, again.
func (l *Loader) sendAgain(ctx context.Context, messages []bus.Message, err error) error {
	var large *plan.LargeError
	switch {
	case errors.As(err, &large):
		return err
	case err == nil && len(messages) > 0 && messages[0].Get(bus.Reason) != "":
		return errors.New("it is too large for the bus")
	case err == nil:
		err = l.to.Send(ctx, messages)
	}
	if err != nil {
		return &busError{err}
	}
	return nil
}

// sendGone tells that there is no row with a key: empty is the batch that the server has sent instead of it.
func (l *Loader) sendGone(ctx context.Context, empty []byte, key cdc.Row) error {
	var b cdcv1.Batch
	if err := proto.Unmarshal(empty, &b); err != nil {
		return err
	}
	if len(b.Schemas) == 0 {
		return errors.New("there is no such row, and the server does not tell of the table")
	}
	b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpRead, Schema: b.Schemas[0].Fingerprint, Key: key}}
	value, err := proto.Marshal(&b)
	if err != nil {
		return err
	}
	e, err := eventOf(value)
	if err != nil {
		return err
	}
	messages, err := l.to.Plan.Gone(ctx, e)
	return l.sendAgain(ctx, messages, err)
}
