package pump

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/checkpoint"
	"github.com/pgcdc/cdc/relay/load"
	"github.com/pgcdc/cdc/relay/plan"
)

// Pump is a relay at work.
type Pump struct {
	// Client is for the slot; its Store, Logger and Metrics are set here.
	Client cdc.Config
	Driver bus.Driver
	Plan   plan.Options
	// HoldBack is how long after a message is stored PostgreSQL hears of it.
	HoldBack time.Duration
	// MaxBackoff between sessions; default 30 s.
	MaxBackoff time.Duration
	// Patience is how long a transaction goes on when the relay is told to end; default 10 s.
	Patience time.Duration
	Logger   *slog.Logger
	// Loads of tables; nil: none.
	Loads *Loads

	metrics  *Metrics
	status   atomic.Pointer[Status]
	failures atomic.Pointer[[]Failure] // the newest first
	loading  atomic.Pointer[[]load.Status]
	requests chan request
	waking   atomic.Pointer[context.CancelFunc] // wakes the session
}

// Status is what the relay is doing.
type Status struct {
	// State is starting, standby, running, waiting, stopped.
	State string `json:"state"`
	// Error of the last session.
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since"`
	// Loads of tables, as far as this relay has to do with them.
	Loads []load.Status `json:"loads,omitempty"`
	// Failures are the last ones of this process, the newest first.
	Failures []Failure `json:"failures,omitempty"`
}

// Failure is why a session has ended.
type Failure struct {
	At    time.Time `json:"at"`
	Error string    `json:"error"`
}

// maxFailures are kept.
const maxFailures = 5

// Status of now.
func (p *Pump) Status() Status {
	status := Status{State: "starting"}
	if s := p.status.Load(); s != nil {
		status = *s
	}
	if all := p.loading.Load(); all != nil && status.State == "running" {
		status.Loads = *all
	}
	if last := p.failures.Load(); last != nil {
		status.Failures = *last
	}
	return status
}

func (p *Pump) is(state string, err error) {
	s := &Status{State: state, Since: time.Now().UTC()}
	if err != nil {
		s.Error = err.Error()
		p.failed(Failure{s.Since, s.Error})
	}
	p.status.Store(s)
	p.metrics.state(state)
}

// failed keeps why a session has ended: what is shown later is seen by who was not there.
func (p *Pump) failed(f Failure) {
	all := []Failure{f}
	if last := p.failures.Load(); last != nil {
		all = append(all, (*last)[:min(len(*last), maxFailures-1)]...)
	}
	p.failures.Store(&all)
}

// Run carries until ctx ends, or something has to be changed by somebody.
func (p *Pump) Run(ctx context.Context) error {
	p.MaxBackoff = cmp.Or(p.MaxBackoff, 30*time.Second)
	p.Patience = cmp.Or(p.Patience, 10*time.Second)
	if p.metrics == nil {
		p.Measure(NewMetrics(p.Client.Slot))
	}
	p.metrics.dead = plan.DeadTopic(p.Plan.Prefix)
	p.requests = make(chan request, 1)
	defer p.is("stopped", nil)
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := p.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if permanent(err) {
			p.Logger.Error("the relay cannot go on", "error", err)
			return err
		}
		if time.Since(began) > time.Minute || busy(err) { // it has waited for the slot already
			attempt = 0
		}
		p.report(err)
		if !pause(ctx, attempt, p.MaxBackoff) {
			return nil
		}
	}
}

// report says why a session has ended.
func (p *Pump) report(err error) {
	p.metrics.sessions.WithLabelValues(reason(err)).Inc()
	if busy(err) {
		if p.Status().State != "standby" {
			p.Logger.Info("another relay has the slot: standing by", "slot", p.Client.Slot)
		}
		p.is("standby", nil)
		return
	}
	var missing *bus.MissingError
	if errors.As(err, &missing) {
		p.metrics.missing.WithLabelValues(missing.Name).Inc()
	}
	var fenced *bus.FencedError
	if errors.As(err, &fenced) {
		p.Logger.Warn("another relay has written to the log: looking at it anew", "error", err)
	} else {
		p.Logger.Warn("the relay waits and tries again", "error", err)
	}
	p.is("waiting", err)
}

// pause waits, longer each time, with jitter.
func pause(ctx context.Context, attempt int, limit time.Duration) bool {
	if attempt < 10 {
		limit = min(limit, 100*time.Millisecond<<attempt)
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(limit/2 + rand.N(limit/2+1)):
		return true
	}
}

// session opens both ends, and carries.
func (p *Pump) session(ctx context.Context) (err error) {
	run, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &session{pump: p}
	events := bus.Events{Stored: func(t *cdc.Txn) { s.published(t); s.gate.stored(t) }, Released: func() { s.plan.Reuse() },
		Failed: func(err error) { cancel(ofSide(byBroker, err)) }}
	opened, err := p.Driver.Open(ctx, events)
	if err != nil {
		return ofSide(byBroker, err)
	}
	s.bus = blamed{opened}
	defer s.bus.Close()
	store := checkpoint.New(s.bus)
	if s.stream, err = p.open(ctx, store); err != nil {
		return ofSource(err)
	}
	defer s.close(&err)
	s.gate = newGate(p.HoldBack, s.stream.Ack)
	state, err := store.Claim(ctx)
	if err != nil {
		return err
	}
	if err := s.begin(ctx, state); err != nil {
		return err
	}
	defer s.endLoads()
	go s.releases(run)
	p.is("running", nil)
	err = s.run(run)
	if cause := context.Cause(run); cause != nil && ctx.Err() == nil {
		return cause
	}
	return err
}

// begin sets where the session goes on.
func (s *session) begin(ctx context.Context, state bus.State) error {
	confirm := cdc.LSN(0)
	here := s.stream.Checkpoint(&cdc.Txn{})
	if state.Mark != nil && state.Mark.Source.System != here.SystemIdentifier { // and that was accepted
		s.pump.Logger.Warn("the log came from another system", "was", state.Mark.Source.System, "is", here.SystemIdentifier)
		state.Mark, state.Checkpoint = nil, nil
	}
	if state.Mark != nil {
		s.resume.mark = state.Mark
		confirm = state.Mark.Confirm
	}
	if c := state.Checkpoint; c != nil {
		confirm = max(confirm, c.EndLSN)
	}
	confirm = max(confirm, here.EndLSN) // of a slot that nobody has read
	s.plan = plan.New(s.pump.Plan, s.bus, confirm)
	s.pump.Logger.Info("carrying", "slot", s.pump.Client.Slot, "bus", s.pump.Driver.Describe(), "from", confirm)
	return s.openLoads(ctx, state, confirm)
}

// open opens the slot. Where it is past the checkpoint, but the log is not behind it, the log counts.
func (p *Pump) open(ctx context.Context, store *checkpoint.Store) (*cdc.Stream, error) {
	config := p.Client
	config.Store, config.Logger = store, p.Logger
	if p.metrics.client != nil {
		config.Metrics = p.metrics.client
	}
	stream, err := cdc.Open(ctx, config)
	var refused *cdc.RefusedError
	if errors.As(err, &refused) {
		store.ByMark()
		if again, err := cdc.Open(ctx, config); err == nil {
			return again, nil
		}
	}
	return stream, err
}

// close stores what was sent where nothing has failed, and has the server hear of it.
func (s *session) close(err *error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.pump.Patience)
	defer cancel()
	if *err == nil || errors.Is(*err, context.Canceled) {
		if flushed := s.bus.Flush(ctx); flushed != nil {
			s.pump.Logger.Warn("what was sent last is not known to be stored; the next start finds out", "error", flushed)
		}
	} else {
		s.bus.Close() // nothing waits for it any more
	}
	s.gate.release()
	if closed := s.stream.Close(); closed != nil && *err == nil {
		*err = closed
	}
}

// releases has what is held back acknowledged in time.
func (s *session) releases(ctx context.Context) {
	if s.gate.hold == 0 {
		return
	}
	ticker := time.NewTicker(max(10*time.Millisecond, s.gate.step/2))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.gate.release()
		}
	}
}

// busy tells whether somebody else reads the slot.
func busy(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55006"
}

// permanent tells whether trying again cannot help.
func permanent(err error) bool {
	var refused *cdc.RefusedError
	var lost *checkpoint.LostError
	var config *bus.ConfigError
	var failed *plan.FailedError
	var large *plan.LargeError
	var missing *plan.MissingError
	return errors.As(err, &refused) || errors.As(err, &lost) || errors.As(err, &config) ||
		errors.As(err, &failed) || errors.As(err, &large) || errors.As(err, &missing) || errors.Is(err, cdc.ErrDamaged)
}

// Check says what a start would stumble over, without moving anything.
func (p *Pump) Check(ctx context.Context) []error {
	wrong := p.Driver.Check(ctx)
	if p.Plan.Schemas != nil {
		if err := p.Plan.Schemas.Check(ctx); err != nil {
			wrong = append(wrong, err)
		}
	}
	client := p.Client
	client.ReadOnly, client.CreateSlot = true, false
	client.Logger = p.Logger
	stream, err := cdc.Open(ctx, client)
	if busy(err) {
		return wrong // a relay that runs, most likely
	}
	if err != nil {
		return append(wrong, fmt.Errorf("slot %s: %w", p.Client.Slot, err))
	}
	stream.Close()
	if p.Loads != nil && p.Loads.Initial {
		wrong = append(wrong, p.checkLoads(ctx)...)
	}
	return wrong
}
