// Package pump carries changes from a slot to a bus, again and again: each session opens both,
// finds out what the log has, and goes on behind it.
package pump

import (
	"context"
	"errors"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
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
}

// run carries until ctx ends, or something fails.
func (s *session) run(ctx context.Context) error {
	for ctx.Err() == nil {
		t, err := s.next(ctx)
		if err != nil {
			return err
		}
		if t == nil { // the bus is due
			if err := s.flush(ctx); err != nil {
				return err
			}
			continue
		}
		// A transaction that was begun is written to its end, though the relay stops.
		if err := s.transaction(context.WithoutCancel(ctx), ctx, t); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// flush stores what was sent, though the relay stops meanwhile.
func (s *session) flush(stop context.Context) error {
	ctx, cancel := s.pump.patience(context.WithoutCancel(stop), stop)
	defer cancel()
	return s.bus.Flush(ctx)
}

// next gives the next transaction, or nil when the bus is due.
func (s *session) next(ctx context.Context) (*cdc.Txn, error) {
	due := s.bus.Due()
	if due.IsZero() {
		return s.stream.Next(ctx)
	}
	wait, cancel := context.WithDeadline(ctx, due)
	defer cancel()
	t, err := s.stream.Next(wait)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, nil
	}
	return t, err
}

// transaction carries one. stop tells that the relay is to end.
func (s *session) transaction(ctx, stop context.Context, t *cdc.Txn) error {
	if s.resume.whole(t) {
		s.pump.metrics.repeated.Inc()
		return s.bus.End(ctx, t)
	}
	ctx, cancel := s.pump.patience(ctx, stop)
	defer cancel()
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
	s.plan.Finish(waiting, events)
	if err := s.send(ctx, waiting); err != nil {
		return err
	}
	s.pump.metrics.transaction(t)
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
