package pump

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/load"
)

// Loads says whether and how tables are loaded.
type Loads struct {
	// Initial: all tables are loaded once.
	Initial bool
	// Rows that are read at a time at most.
	Rows int
}

// request is what the session is to do between two transactions.
type request struct {
	work   func(context.Context, *load.Loader) error
	answer chan<- error
}

// ErrNotCarrying: this relay cannot be asked, since it carries nothing at the time.
var ErrNotCarrying = errors.New("this relay does not carry: ask the one that does, or later")

// Load has tables be loaded, and gives their names when that is stored on the bus.
func (p *Pump) Load(ctx context.Context, tables []string) ([]string, error) {
	var relations []string
	err := p.ask(ctx, func(ctx context.Context, l *load.Loader) (err error) {
		relations, err = l.Request(ctx, tables)
		return err
	})
	if err != nil {
		return nil, err
	}
	return relations, nil
}

// Replay has the rows that dead letters are of be read and sent, and gives what has become of each letter when that is stored.
// values are those of the letters' messages.
func (p *Pump) Replay(ctx context.Context, values [][]byte) ([]load.Replayed, error) {
	if !p.carries() {
		return nil, ErrNotCarrying
	}
	reader := p.reader()
	defer reader.Close(context.WithoutCancel(ctx))
	letters, err := load.Letters(ctx, reader, values)
	if err != nil {
		return nil, err
	}
	for {
		var done []load.Replayed
		err = p.ask(ctx, func(ctx context.Context, l *load.Loader) (err error) {
			done, err = l.Replay(ctx, letters)
			return err
		})
		switch {
		case err == nil:
			return done, nil
		case !load.NotYet(err):
			return nil, err
		}
		select { // the stream goes on meanwhile
		case <-ctx.Done():
			return nil, err
		case <-time.After(time.Second):
		}
	}
}

func (p *Pump) carries() bool { return p.Loads != nil && p.Status().State == "running" }

// ask has the session do something, and waits for it.
func (p *Pump) ask(ctx context.Context, work func(context.Context, *load.Loader) error) error {
	if !p.carries() {
		return ErrNotCarrying
	}
	answers := make(chan error, 1)
	select {
	case p.requests <- request{work, answers}:
	case <-ctx.Done():
		return ErrNotCarrying
	}
	p.wake()
	select {
	case err := <-answers:
		return err
	case <-ctx.Done():
		return fmt.Errorf("it is not known whether it will be done: %w", ctx.Err())
	}
}

// wake has the session look whether there is something to do beside the stream.
func (p *Pump) wake() {
	if f := p.waking.Load(); f != nil {
		(*f)()
	}
}

// rest is for which the session waits for the stream, until it is woken.
type rest struct {
	context.Context
	cancel context.CancelFunc
}

func (s *session) sleep(ctx context.Context) {
	s.waited()
	waiting, cancel := context.WithCancel(ctx)
	s.waiting = &rest{waiting, cancel}
	s.pump.waking.Store(&cancel)
}

// openLoads takes up the loads where they are.
func (s *session) openLoads(ctx context.Context, state bus.State, confirm cdc.LSN) (err error) {
	p := s.pump
	last := cdc.Position{}
	if state.Mark != nil {
		last = state.Mark.Position
	}
	idle := &cdc.Txn{}
	s.plan.StartAt(last, s.source(idle))
	if p.Loads == nil {
		return nil
	}
	options := load.Options{Initial: p.Loads.Initial, Rows: p.Loads.Rows, OldFull: p.Client.Options["old"] == "full", Metrics: p.metrics.loads,
		Publish: func(all []load.Status) { p.loading.Store(&all) }, Logger: p.Logger, Reader: p.reader}
	target := load.Target{Bus: s.bus, Plan: s.plan, Send: s.send, Idle: s.stream.Passed, Wake: p.wake}
	s.loads, err = load.Open(ctx, options, target, max(last.CommitLSN, confirm))
	return err
}

// reader makes one that reads tables as the stream has them.
func (p *Pump) reader() *cdc.TableReader {
	return &cdc.TableReader{Conn: p.Client.Conn, Slot: p.Client.Slot, Options: p.Client.Options, Limits: p.Client.Limits, LockTimeout: "2s", Logger: p.Logger}
}

// between reads a piece of a load, if it is its turn: never within a transaction that the log has in part.
func (s *session) between(ctx context.Context) error {
	if s.loads == nil || s.resume.inside() {
		return nil
	}
	select {
	case r := <-s.pump.requests:
		err := r.work(ctx, s.loads)
		r.answer <- err
		if load.OfBus(err) {
			return err
		}
	default:
	}
	if now := time.Now(); s.idle && !s.loads.Due(now).IsZero() || s.loads.Turn(now) {
		return s.loads.Step(ctx)
	}
	return nil
}

// soonest is when something is to be done beside the stream; zero: no need.
func (s *session) soonest() time.Time {
	due := s.bus.Due()
	if s.loads != nil && !s.resume.inside() {
		if at := s.loads.Due(time.Now()); due.IsZero() || !at.IsZero() && at.Before(due) {
			due = at
		}
	}
	return due
}

// endLoads is called at the end of a session.
func (s *session) endLoads() {
	if s.loads != nil {
		s.loads.Close()
	}
}

// checkLoads looks whether tables may be read.
func (p *Pump) checkLoads(ctx context.Context) []error {
	reader := p.reader()
	defer reader.Close(ctx)
	missing, err := reader.MissingPrivileges(ctx)
	if err != nil {
		return []error{err}
	}
	return load.Missing(missing)
}
