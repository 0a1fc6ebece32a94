package load

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/replica"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/plan"
)

// Options of loads.
type Options struct {
	// Initial: all tables are loaded once, and those that come into the stream later.
	Initial bool
	// Rows that are read at a time at most. The stream waits meanwhile.
	Rows int
	// OldFull: under REPLICA IDENTITY FULL, an UPDATE has all of the row before it.
	OldFull bool
	// Reader makes a reader of tables.
	Reader  func() *cdc.TableReader
	Metrics *Metrics
	Publish func([]Status)
	Logger  *slog.Logger
}

// Target is where rows go: a session with the bus.
type Target struct {
	Bus  bus.Bus
	Plan *plan.Plan
	Send func(ctx context.Context, messages []bus.Message) error
	// Idle is how far the stream has come, also where it had nothing.
	Idle func() cdc.LSN
	// Wake has Step be called soon. It may be called by any goroutine.
	Wake func()
}

// Loader loads tables. It is for one goroutine, the one that carries the stream: it calls Step between two transactions.
type Loader struct {
	options  Options
	to       Target
	reader   *cdc.TableReader
	progress *Progress
	meter    meter

	passed cdc.LSN // the stream's transactions up to there are in the log
	seen   visibility
	turn   time.Time // when the next piece is read at the latest
	later  time.Time // and not before
	failed int       // times in a row

	ranges   []cdc.TableRange // of the table at hand; nil: not known yet
	dividing chan divided
	cancel   context.CancelFunc
}

// divided is what came of asking for ranges.
type divided struct {
	table  *Table
	ranges []cdc.TableRange
	key    []string
	err    error
}

// Open takes up where the log is. passed is how far the stream has come.
func Open(ctx context.Context, o Options, to Target, passed cdc.LSN) (*Loader, error) {
	l := &Loader{options: o, to: to, passed: passed, reader: o.Reader()}
	data, err := to.Bus.Kept(ctx)
	if err != nil {
		return nil, err
	}
	if l.progress, err = ParseProgress(data); err != nil {
		return nil, err
	}
	if sequence := to.Bus.Sequence(); sequence > 0 && l.progress.lost(sequence) {
		l.options.Logger.Warn("the bus has lost rows of a load that it had stored: they are read again")
		if err := l.keep(ctx); err != nil {
			return nil, err
		}
	}
	l.publish()
	return l, nil
}

// Close ends what is underway.
func (l *Loader) Close() {
	if l.cancel != nil {
		l.cancel()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.reader.Close(ctx)
}

// keep stores how far it has come.
func (l *Loader) keep(ctx context.Context) error {
	l.progress.forget(time.Now())
	data, err := l.progress.Encode()
	if err != nil {
		return err
	}
	l.publish()
	return l.to.Bus.Keep(ctx, data)
}

// may is an error where the role may not read tables.
func (l *Loader) may(ctx context.Context) error {
	missing, err := l.reader.MissingPrivileges(ctx)
	return errors.Join(append(Missing(missing), err)...)
}

// Missing says what to do about privileges that are missing.
func Missing(functions []string) []error {
	if len(functions) == 0 {
		return nil
	}
	return []error{&bus.ConfigError{Message: "the relay's role cannot load tables: GRANT EXECUTE ON FUNCTION " + strings.Join(functions, ", ") + " to it"}}
}

// enlist puts all tables on the list that are sent.
func (l *Loader) enlist(ctx context.Context) error {
	if err := l.may(ctx); err != nil {
		return err
	}
	all, err := l.reader.All(ctx)
	if err != nil {
		return err
	}
	n := 0
	for i := range all {
		sent, err := l.reader.Sent(ctx, all[i].OID)
		if err != nil {
			return fmt.Errorf("whether %s is sent: %w", all[i].Relation, err)
		}
		if sent {
			l.progress.add(&all[i], 0)
			n++
		}
	}
	l.progress.Initial = true
	l.options.Logger.Info("the initial load begins", "tables", n, "left_out", len(all)-n)
	return nil
}

// Request puts tables on the list that somebody asks for, by names as SQL has them, and gives the names that they have.
func (l *Loader) Request(ctx context.Context, names []string) (relations []string, err error) {
	if err := l.may(ctx); err != nil {
		return nil, err
	}
	var tables []*cdc.FoundTable
	for _, name := range names {
		found, err := l.reader.Find(ctx, name)
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, fmt.Errorf("there is no table %s", name)
		}
		sent, err := l.reader.Sent(ctx, found.OID)
		if err != nil {
			return nil, err
		}
		if !sent {
			return nil, fmt.Errorf("the table %s is not sent to the relay", name)
		}
		tables = append(tables, found)
	}
	for _, found := range tables {
		t := l.progress.add(found, 0)
		relations = append(relations, t.Relation)
		l.options.Logger.Info("a table is to be loaded", "relation", t.Relation, "load", t.Load)
	}
	l.forgetRanges()
	if err := l.keep(ctx); err != nil {
		return nil, &busError{err}
	}
	if err := l.to.Bus.Flush(ctx); err != nil {
		return nil, &busError{err}
	}
	return relations, nil
}

// busError ends the session, other than what PostgreSQL says to a reader of tables.
type busError struct{ err error }

func (e *busError) Error() string { return e.err.Error() }
func (e *busError) Unwrap() error { return e.err }

// OfBus tells whether an error is one that ends the session.
func OfBus(err error) bool {
	var b *busError
	return errors.As(err, &b)
}

// current is the table to be read now, nil if there is none.
func (l *Loader) current() *Table {
	for _, t := range l.progress.Tables {
		if !t.Read && t.Ended == nil && l.hasPassed(t.After) {
			return t
		}
	}
	return nil
}

// unfinished tells whether something is on the list.
func (l *Loader) unfinished() bool {
	return slices.ContainsFunc(l.progress.Tables, func(t *Table) bool { return t.Ended == nil })
}

// hasPassed tells whether the log has all transactions up to a place.
func (l *Loader) hasPassed(at cdc.LSN) bool { return l.passed >= at || l.to.Idle() >= at }

// Passed says that the log has a transaction, as a whole.
func (l *Loader) Passed(t *cdc.Txn) {
	l.passed = max(l.passed, t.CommitLSN)
	l.seen.sent(t.XID)
}

// poll is how often it looks whether something has changed that nobody tells.
const poll = 100 * time.Millisecond

// Due is when Step is to be called at the latest; zero: no need.
func (l *Loader) Due(now time.Time) time.Time {
	switch {
	case l.options.Initial && !l.progress.Initial:
		return l.latest(now)
	case !l.unfinished():
		return time.Time{}
	case l.dividing == nil && l.current() != nil:
		return l.latest(now.Add(time.Millisecond)) // the stream goes first
	}
	return now.Add(poll)
}

func (l *Loader) latest(at time.Time) time.Time {
	if l.later.After(at) {
		return l.later
	}
	return at
}

// Turn tells whether a piece is to be read though the stream has more.
func (l *Loader) Turn(now time.Time) bool {
	return (l.unfinished() || l.options.Initial && !l.progress.Initial) && !now.Before(l.latest(l.turn))
}

// Step reads a piece. What PostgreSQL says against it, is no failure of the stream: it is tried again later.
func (l *Loader) Step(ctx context.Context) error {
	began := time.Now()
	if began.Before(l.later) {
		return nil
	}
	err := l.step(ctx)
	l.turn = time.Now().Add(max(time.Since(began), time.Millisecond)) // as much time for the stream
	var config *bus.ConfigError
	switch {
	case err == nil:
		l.failed = 0
		return nil
	case OfBus(err), ctx.Err() != nil, errors.As(err, &config):
		return err
	case errors.Is(err, errUnseen):
		l.later = time.Now().Add(poll)
		return nil
	case replica.TryAgain(err):
		l.later = time.Now().Add(time.Second)
		return nil
	}
	l.options.Logger.Warn("a load waits and tries again", "error", err)
	l.later = time.Now().Add(min(30*time.Second, time.Second<<min(l.failed, 5)))
	l.failed++
	return nil
}

func (l *Loader) step(ctx context.Context) error {
	if l.options.Initial && !l.progress.Initial {
		if err := l.enlist(ctx); err != nil {
			return err
		}
		return l.save(ctx)
	}
	if err := l.finish(ctx); err != nil {
		return err
	}
	t := l.current()
	if t == nil {
		return nil
	}
	if l.ranges == nil {
		ready, err := l.divide(t)
		if !ready || err != nil {
			return l.judge(ctx, t, err)
		}
	}
	return l.judge(ctx, t, l.piece(ctx, t))
}

// save is keep, whose errors end the session.
func (l *Loader) save(ctx context.Context) error {
	if err := l.keep(ctx); err != nil {
		return &busError{err}
	}
	return nil
}

// judge deals with a table that cannot be read, or not as it was begun.
func (l *Loader) judge(ctx context.Context, t *Table, err error) error {
	var altered *alteredError
	switch {
	case err == nil || OfBus(err):
		return err
	case errors.As(err, &altered):
		l.forgetRanges()
		l.options.Logger.Info("a table was altered while it was loaded: its load begins anew", "relation", t.Relation, "load", t.Load)
		t.again(altered.at)
		t.Relation = altered.relation
		return l.save(ctx)
	case replica.NotSent(err):
		l.forgetRanges()
		l.options.Logger.Warn("a table is not sent, or is gone: it is not loaded", "relation", t.Relation, "load", t.Load, "error", err)
		l.progress.remove(t)
		return l.save(ctx)
	}
	return err
}

// finish ends the loads that the stream has passed.
func (l *Loader) finish(ctx context.Context) error {
	for _, t := range l.progress.Tables {
		if !t.Read || t.Ended != nil || !l.hasPassed(t.EndLSN) {
			continue
		}
		if err := l.mark(ctx, t, "end"); err != nil {
			return err
		}
		t.end(time.Now())
		l.say("loaded", t)
		if err := l.save(ctx); err != nil {
			return err
		}
		return l.finish(ctx) // the list is another one
	}
	return nil
}
