// Package pump carries changes from a slot to a bus, again and again: each session opens both,
// finds out what the log has, and goes on behind it.
package pump

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/load"
	"github.com/pgcdc/cdc/relay/plan"
)

// session is from opening both ends to the first failure.
type session struct {
	pump   *Pump
	bus    bus.Bus
	stream *cdc.Stream
	plan   *plan.Plan
	resume resume
	gate   *gate

	// wait ends when the bus is due: one for all transactions until then.
	wait context.Context
	due  time.Time
	done context.CancelFunc

	loads   *load.Loader // nil: none
	waiting *rest
	idle    bool // the stream had nothing when it was asked last

	repeated atomic.Uint64 // CommitLSN of the last transaction that the log had already
}

// run carries until ctx ends, or something fails.
func (s *session) run(ctx context.Context) error {
	// A transaction that was begun is written to its end, and what was sent is stored, though the relay stops.
	patient, cancel := s.pump.patience(context.WithoutCancel(ctx), ctx)
	defer cancel()
	defer s.waited()
	s.sleep(ctx)
	for ctx.Err() == nil {
		if err := s.between(ctx); err != nil {
			return err
		}
		t, err := s.next(ctx)
		if err != nil {
			return err
		}
		s.idle = t == nil
		if t == nil { // something else is due
			if at := s.bus.Due(); at.IsZero() || time.Now().Before(at) {
				continue
			}
			if err := s.bus.Flush(patient); err != nil {
				return err
			}
			continue
		}
		if err := s.transaction(patient, t); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// next gives the next transaction, or nil when something else is due.
func (s *session) next(ctx context.Context) (*cdc.Txn, error) {
	wait := context.Context(s.waiting)
	if due := s.soonest(); !due.IsZero() {
		if s.wait == nil || due != s.due {
			s.waited()
			s.due = due
			s.wait, s.done = context.WithDeadline(s.waiting, due)
		}
		wait = s.wait
	}
	t, err := s.stream.Next(wait)
	if s.waiting.Err() != nil && ctx.Err() == nil { // woken
		s.sleep(ctx)
		if errors.Is(err, context.Canceled) {
			return nil, nil
		}
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, nil
	}
	return t, ofSource(err)
}

// waited gives up the context that ends when the bus is due.
func (s *session) waited() {
	if s.done != nil {
		s.done()
		s.wait, s.done = nil, nil
	}
}

// transaction carries one.
func (s *session) transaction(ctx context.Context, t *cdc.Txn) error {
	if s.resume.whole(t) {
		s.pump.metrics.repeated.Inc()
		s.repeated.Store(uint64(t.CommitLSN))
		return s.bus.End(ctx, t)
	}
	if s.loads != nil && !s.resume.begun(t) {
		if err := s.loads.Before(ctx, t); err != nil {
			return err
		}
	}
	s.plan.Begin(t, s.source(t))
	var waiting []bus.Message // of the last event that has some
	events := 0
	for e, err := range t.Events() {
		if err != nil {
			return err
		}
		messages, err := s.plan.Event(ctx, e)
		if err != nil {
			return err
		}
		if len(messages) == 0 { // of a table that the log never had
			continue
		}
		events++
		if messages = s.resume.rest(t, e.Position(), messages); len(messages) == 0 {
			continue
		}
		if err := s.send(ctx, waiting); err != nil {
			return err
		}
		waiting = messages
	}
	if err := s.resume.end(t); err != nil {
		return err
	}
	waiting, err := s.plan.End(ctx, waiting, events)
	if err != nil {
		return err
	}
	s.plan.Finish(waiting, events)
	if err := s.send(ctx, waiting); err != nil {
		return err
	}
	s.pump.metrics.transaction(t)
	if s.loads != nil {
		s.loads.Passed(t)
	}
	return s.bus.End(ctx, t)
}

func (s *session) send(ctx context.Context, messages []bus.Message) error {
	if len(messages) == 0 {
		return nil
	}
	if err := s.bus.Send(ctx, messages); err != nil {
		return err
	}
	s.pump.metrics.sent(messages)
	return nil
}

// source of a transaction's positions.
func (s *session) source(t *cdc.Txn) bus.Source {
	c := s.stream.Checkpoint(t)
	return bus.Source{System: c.SystemIdentifier, Timeline: c.Timeline, Database: c.Database, Slot: c.Slot}
}

// patience is for how long a transaction goes on after the relay was told to end.
func (p *Pump) patience(ctx, stop context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(stop, func() {
		time.AfterFunc(p.Patience, cancel)
	})
	return ctx, func() { release(); cancel() }
}
