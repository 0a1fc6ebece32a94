package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// alteredError: a table does not have the name, the key or the topic any more that its load was begun with.
type alteredError struct {
	relation string
	at       cdc.LSN // the stream has told of it there
}

// Error implements error.
func (e *alteredError) Error() string { return "the table was altered: it is " + e.relation }

// forgetRanges has the next piece ask for them anew.
func (l *Loader) forgetRanges() {
	if l.cancel != nil {
		l.cancel()
	}
	l.ranges, l.dividing, l.cancel = nil, nil, nil
}

// divide asks for the ranges of a table, beside the stream: the server reads the whole key for them.
func (l *Loader) divide(t *Table) (ready bool, err error) {
	if l.dividing == nil {
		ctx, cancel := context.WithCancel(context.Background())
		l.dividing, l.cancel = make(chan divided, 1), cancel
		go func(to chan<- divided, oid uint32, rows int, from *string) {
			reader := l.options.Reader()
			d := divided{table: t}
			d.ranges, d.key, d.err = reader.Ranges(ctx, oid, rows, from)
			_ = reader.Close(context.Background())
			to <- d
			l.to.Wake()
		}(l.dividing, t.OID, l.rows(t), t.At.From)
		return false, nil
	}
	select {
	case d := <-l.dividing:
		l.forgetRanges()
		if d.err == nil && d.table == t {
			l.ranges, t.Key = d.ranges, d.key
		}
		return l.ranges != nil, d.err
	default:
		return false, nil
	}
}

// pieceBytes is about how large a piece is at most.
const pieceBytes = 8 << 20

// rows of a piece: less where they are large.
func (l *Loader) rows(t *Table) int {
	if t.RowBytes == 0 {
		return l.options.Rows
	}
	return max(min(l.options.Rows, int(pieceBytes/t.RowBytes)), 1)
}

// piece reads the next range, under a snapshot that sees all that the log has: so no row that is read
// is older than what stands before it.
func (l *Loader) piece(ctx context.Context, t *Table) error {
	l.meter.of(t)
	part := l.ranges[0]
	n, end := uint64(0), cdc.LSN(0)
	err := l.sight(ctx, func() error {
		return l.reader.Read(ctx, t.OID, part, func(v *cdc.TableView) error {
			end = v.EndLSN
			return l.look(t, v)
		}, func(b *cdc.Batch) error {
			n += uint64(b.Len())
			return l.batch(ctx, t, b, end)
		})
	})
	if err != nil {
		return err
	}
	l.ranges = l.ranges[1:]
	l.meter.rows += n
	t.Read = len(l.ranges) == 0
	t.EndLSN = max(t.EndLSN, end)
	l.options.Metrics.Rows.Add(float64(n))
	t.moved(Place{From: part.To, Rows: t.At.Rows + n, Sequence: l.to.Bus.Sequence()})
	if t.Read {
		l.ranges = nil
		l.say("read", t)
	} else if time.Since(l.meter.said) >= sayEvery {
		l.say("loading", t)
	}
	return l.save(ctx)
}

// look is called before anything of a range is read.
func (l *Loader) look(t *Table, v *cdc.TableView) error {
	if v.Relation == "" {
		return nil
	}
	if t.Relation != v.Relation || t.Shape != "" && t.Shape != v.Shape {
		return &alteredError{v.Relation, v.EndLSN}
	}
	if !l.seen.by(&v.Snapshot) {
		return errUnseen
	}
	t.Shape = v.Shape
	return nil
}

// batch sends the rows of one.
func (l *Loader) batch(ctx context.Context, t *Table, b *cdc.Batch, end cdc.LSN) error {
	l.to.Plan.BeginRead(t.Load)
	defer l.to.Plan.EndRead()
	if err := l.topic(ctx, t, l.to.Plan.TopicOfTable(b), end); err != nil {
		return err
	}
	c := b.Events()
	for c.Next() {
		e := c.Event()
		if err := l.topic(ctx, t, l.to.Plan.TopicOf(e), end); err != nil {
			return err
		}
		messages, err := l.to.Plan.Event(ctx, e)
		if err == nil {
			err = l.to.Send(ctx, messages)
		}
		if err != nil {
			return &busError{fmt.Errorf("loading %s: %w", t.Relation, err)}
		}
	}
	return c.Err()
}

// topic sees to it that all rows of a load go to one topic, which is told of it first.
func (l *Loader) topic(ctx context.Context, t *Table, topic string, end cdc.LSN) error {
	switch {
	case topic == "" || topic == t.Topic:
		return nil
	case t.Topic != "":
		return &alteredError{t.Relation, end}
	}
	t.Topic = topic
	return l.mark(ctx, t, "begin")
}

// mark tells readers of the begin or the end of a table's load.
func (l *Loader) mark(ctx context.Context, t *Table, what string) error {
	messages, err := l.to.Plan.LoadMark(ctx, t.Topic, t.Relation, what, t.Load)
	if err == nil {
		err = l.sendEach(ctx, messages)
	}
	if err != nil {
		return &busError{err}
	}
	return nil
}

// sendEach sends messages of which each is its own event.
func (l *Loader) sendEach(ctx context.Context, messages []bus.Message) error {
	for i := range messages {
		if err := l.to.Send(ctx, messages[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// errUnseen: a transaction that the log has is not visible to others yet.
var errUnseen = errors.New("a transaction that is in the log is not visible yet")

// sight tries for a while until a snapshot sees all that is in the log: the stream tells of a commit a little
// sooner than other sessions see it, and where commits wait for standbys, much sooner.
func (l *Loader) sight(ctx context.Context, read func() error) error {
	for began := time.Now(); ; {
		err := read()
		if !errors.Is(err, errUnseen) || time.Since(began) > time.Second {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}
