package cdc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/acks"
	"github.com/pgcdc/cdc/clients/go/metrics"
)

// ErrClosed: the stream was closed.
var ErrClosed = errors.New("cdc: stream is closed")

// Stream reads a replication slot. It reads ahead, reconnects, and reports
// progress on its own, so that a slow consumer neither grows its memory nor loses
// its connection. Next and Ack may be called by different goroutines, but only
// one of them may call Next.
type Stream struct {
	config       Config
	schemas      *SchemaCache
	assembler    *Assembler
	buffer       *buffer
	acks         *acks.Tracker
	checkpointer *checkpointer

	cancel  context.CancelCauseFunc
	running sync.WaitGroup

	assembling sync.Mutex // Close may come while Next is at work
	connection int        // of the delivery that Next gave last
	delivered  Position   // of the last transaction that Next gave
}

// Open connects to the slot and checks that going on from the checkpoint loses
// nothing; if not, the error is a RefusedError. A slot that is in use is waited
// for, 10 seconds at most (with TransportFetch, FetchWait more); other errors of the first connection are returned.
// Later failures of the connection are met by connecting again, unless that
// cannot help. ctx is for opening alone.
func Open(ctx context.Context, config Config) (*Stream, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	schemas := NewSchemaCache(config.Limits)
	assembler, err := NewAssembler(config.Assembler, schemas)
	if err != nil {
		return nil, err
	}
	session, checkpoint, known, err := start(ctx, &config)
	if err != nil {
		return nil, err
	}
	config.Metrics.Add(GapsTotal, "", 0) // a series that begins with 0 has an increase
	for _, reason := range metrics.Reconnects {
		config.Metrics.Add(ReconnectsTotal, reason, 0)
	}
	s := &Stream{config: config, schemas: schemas, assembler: assembler, delivered: checkpoint.Position,
		acks: acks.New(checkpoint.Position, checkpoint.EndLSN), buffer: newBuffer(config.BufferBytes, config.Metrics)}
	s.checkpointer = newCheckpointer(&config, s.acks, checkpoint)
	s.checkpointer.failed = func(err error) {
		config.Logger.Error("the stream has ended", "slot", config.Slot, "error", err)
		s.stop(err)
	}
	s.acks.ReadOnly = config.ReadOnly
	s.acks.Owned = !config.ReadOnly && (known || !config.selects())
	run, cancel := context.WithCancelCause(context.Background())
	s.cancel = cancel
	s.running.Add(2)
	go func() { defer s.running.Done(); s.checkpointer.run(run) }()
	go func() {
		defer s.running.Done()
		(&reader{stream: s, retry: backoff{max: config.MaxBackoff}}).run(run, session)
	}()
	return s, nil
}

// start connects, checks and starts, and gives the checkpoint to go on from. The
// checkpoint is read when the slot's position is known, which is never ahead of it,
// and again when the slot is ours: until then another consumer may move both. known: the
// slot was made here, or there was a checkpoint.
func start(ctx context.Context, config *Config) (session Session, checkpoint *Checkpoint, known bool, err error) {
	looked := false
	var before LSN // of a checkpoint that was beyond what the server had said
	for began := time.Now(); ; {
		var made, found bool
		session, made, err = connectTo(ctx, config)
		if err != nil {
			return nil, nil, false, err
		}
		var stored *Checkpoint
		checkpoint, found, err = begin(ctx, config, session)
		known = known || made || found && !looked // later it may be what was stored here
		looked = true
		if err == nil {
			err = session.Start(ctx, checkpoint.EndLSN)
		}
		if err == nil {
			stored, err = load(ctx, config)
		}
		if err == nil && stored != nil && *stored == *checkpoint {
			return session, checkpoint, known, nil
		}
		session.Close()
		if isRefused(err) && beyond(session, checkpoint) && session.Server().WALEnd >= before {
			// The server was asked first: meanwhile another consumer may have stored one beyond that. What is
			// beyond what the server says the next time is lost.
			before = checkpoint.EndLSN
			if time.Since(began) <= config.busyTimeout() && ctx.Err() == nil {
				time.Sleep(minBackoff)
				continue
			}
			return nil, nil, false, errMoving
		}
		moved := err == nil
		if !moved && !isBusy(err) || time.Since(began) > config.busyTimeout() || ctx.Err() != nil {
			if moved {
				err = fault.Refused("the checkpoint moves: another consumer has the same store")
			}
			return nil, nil, false, err
		}
		time.Sleep(minBackoff)
	}
}

// errMoving: trying again may help.
var errMoving = errors.New("cdc: the checkpoint moves: another consumer is at work with the same store")

func beyond(session Session, c *Checkpoint) bool {
	return c != nil && c.EndLSN > session.Server().WALEnd
}

func load(ctx context.Context, config *Config) (*Checkpoint, error) {
	c, err := config.Store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("cdc: loading the checkpoint: %w", err)
	}
	return c, nil
}

// connectTo opens a session with a slot of ours, which it may have made.
func connectTo(ctx context.Context, config *Config) (session Session, made bool, err error) {
	if session, err = config.Connector.Connect(ctx); err != nil {
		return nil, false, err
	}
	if session.Server().Plugin == "" && config.CreateSlot {
		session.Close()
		if err := createMissing(ctx, config); err != nil {
			return nil, false, err
		}
		if session, err = config.Connector.Connect(ctx); err != nil {
			return nil, false, err
		}
		made = true
	}
	err = checkSlot(session.Server(), config.Slot)
	if err != nil && session.Server().Plugin == "" {
		if c, loadErr := load(ctx, config); loadErr == nil && c != nil {
			err = gone(config.Slot, c)
		}
	}
	if err != nil {
		session.Close()
		return nil, false, err
	}
	return session, made, nil
}

// createMissing makes the slot, but not where a checkpoint says that there was one.
func createMissing(ctx context.Context, config *Config) error {
	c, err := load(ctx, config)
	if err != nil {
		return err
	}
	if c != nil {
		return gone(config.Slot, c)
	}
	slot, err := CreateSlot(ctx, config.Conn, config.Slot, SlotOptions{TwoPhase: config.Options["two_phase"] == "on"})
	if err != nil {
		return err
	}
	slot.Close()
	return nil
}

// gone is about a slot of which there is a checkpoint.
func gone(slot string, c *Checkpoint) error {
	return fault.Refused("there is a checkpoint, but there is no slot %q any more: changes after %v are lost. "+
		"Make the slot, load the tables anew, and remove the checkpoint", slot, c.EndLSN)
}

// begin checks the checkpoint against the server, or stores the first one. It gives one that is refused, too.
func begin(ctx context.Context, config *Config, session Session) (_ *Checkpoint, found bool, err error) {
	server := session.Server()
	c, err := load(ctx, config)
	if err != nil {
		return nil, false, err
	}
	found = c != nil
	if c != nil && c.Slot != config.Slot {
		return nil, false, fault.Refused("the checkpoint is of the slot %q, not %q", c.Slot, config.Slot)
	}
	if c == nil || (config.AcceptSystem && c.SystemIdentifier != server.SystemIdentifier) {
		c = &Checkpoint{EndLSN: server.ConfirmedFlush}
	} else if err := checkStart(ctx, session, c); err != nil {
		return c, false, err
	}
	current := *c
	current.SystemIdentifier, current.Timeline = server.SystemIdentifier, server.Timeline
	current.Database, current.Slot = server.Database, config.Slot
	if current != *c {
		if err := config.Store.Save(ctx, &current); err != nil {
			return nil, false, &StoreError{err}
		}
	}
	return &current, found, nil
}

// Next gives the next transaction, in the order of the commits. It waits until
// there is one, the stream fails, or ctx ends.
func (s *Stream) Next(ctx context.Context) (*Txn, error) {
	for {
		d, err := s.buffer.get(ctx)
		if err != nil {
			return nil, err
		}
		txn, err := s.assemble(&d)
		if err != nil {
			if fault.IsGap(err) {
				s.config.Metrics.Add(GapsTotal, "", 1)
			}
			s.config.Logger.Error("the stream has ended", "slot", s.config.Slot, "error", err)
			s.stop(err)
			return nil, err
		}
		if d.beat != 0 {
			s.checkpointer.beats(d.beat)
		}
		if txn != nil && s.wanted(txn) {
			s.config.Metrics.Add(TransactionsTotal, "", 1)
			s.received(txn)
			return txn, nil
		}
	}
}

// received observes for how long a transaction was on its way.
func (s *Stream) received(t *Txn) {
	receipts := t.Receipts()
	if t.Outcome != OutcomeCommitted || t.CommitTimeUS == 0 || len(receipts) == 0 {
		return
	}
	at := receipts[len(receipts)-1].Received()
	s.config.Metrics.Observe(ReceiveDelaySeconds, max(0, at.Sub(t.CommitTime()).Seconds()))
}

// Passed gives a place that the stream has passed: Next has given all that commits before it, and it may be that there
// was nothing. It is for the goroutine that calls Next.
func (s *Stream) Passed() LSN {
	heard := s.acks.Heard()
	if s.buffer.any() {
		heard = 0
	}
	return max(heard, s.delivered.CommitLSN)
}

func (s *Stream) assemble(d *delivery) (*Txn, error) {
	s.assembling.Lock()
	defer s.assembling.Unlock()
	if d.connection != s.connection {
		s.assembler.Reset()
		s.connection = d.connection
	}
	if d.lost {
		s.assembler.Tolerate()
	}
	return s.assembler.Receive(d.batch, d.receipt)
}

// wanted acknowledges what the consumer need not see: what was rolled back, and
// what was dealt with before the stream was opened.
func (s *Stream) wanted(t *Txn) bool {
	switch {
	case t.Outcome == OutcomeRolledBack && (t.GID == "" || !s.config.Assembler.DeliverPrepared),
		t.Outcome == OutcomeCommitted && t.CommitLSN <= s.delivered.CommitLSN:
		s.pass(t)
		return false
	case t.Outcome == OutcomeCommitted:
		s.delivered = t.Position()
	case t.Outcome != OutcomePrepared && t.Outcome != OutcomeRolledBack:
		s.config.Logger.Warn("unknown outcome", "slot", s.config.Slot, "position", t.Position().String(), "outcome", int(t.Outcome), "xid", t.XID)
	}
	return true
}

// Ack says that a transaction is dealt with, and closes it. Transactions may be
// acknowledged in any order; the checkpoint moves over those without a gap
// before them. It is stored soon after, and then the server is told; see Flush.
func (s *Stream) Ack(t *Txn) {
	if received := s.acks.Own(t.Receipts()); !received.IsZero() {
		s.config.Metrics.Observe(AcknowledgeDelaySeconds, time.Since(received).Seconds())
	}
	t.Close()
}

// pass is Ack for what is not the consumer's doing.
func (s *Stream) pass(t *Txn) {
	s.acks.Ack(t.Receipts()...)
	t.Close()
}

// Checkpoint is what would be stored if t were acknowledged now, for consumers
// that deal with transactions in order and store it together with their effects:
// see SaveTx.
func (s *Stream) Checkpoint(t *Txn) *Checkpoint {
	c := s.checkpointer.checkpoint()
	c.Position, c.EndLSN = s.acks.Assuming(t.Receipts())
	return c
}

// Flush stores the checkpoint and tells the server, without waiting for the next
// time.
func (s *Stream) Flush(ctx context.Context) error { return s.checkpointer.save(ctx) }

// Reject says that the consumer cannot deal with a transaction. As
// Config.OnHandlerError says, the cause is returned and ends the stream, or the
// transaction is skipped or set aside, each event as a dead letter, and then
// acknowledged.
func (s *Stream) Reject(ctx context.Context, t *Txn, cause error) error {
	for e, err := range t.Events() {
		if err == nil {
			err = s.setAside(ctx, e, cause)
		}
		if err != nil {
			s.stop(err)
			return err
		}
	}
	if t.Len() == 0 { // nothing to set aside, but the policy counts
		if s.config.OnHandlerError == PolicyStop {
			s.stop(cause)
			return cause
		}
	}
	s.Ack(t)
	return nil
}

// RejectEvent is Reject for one event of a transaction, which the consumer goes on with
// and acknowledges itself.
func (s *Stream) RejectEvent(ctx context.Context, e *Event, cause error) error {
	err := s.setAside(ctx, e, cause)
	if err != nil {
		s.stop(err)
	}
	return err
}

func (s *Stream) setAside(ctx context.Context, e *Event, cause error) error {
	piece, err := e.AppendSingle(nil, nil)
	if err != nil {
		return err
	}
	return s.handle(ctx, s.config.OnHandlerError, &DeadLetter{Reason: ReasonHandler, Err: cause, Batch: piece, Position: e.Position()}, e)
}

// handle does with a letter as the policy says.
func (s *Stream) handle(ctx context.Context, p Policy, l *DeadLetter, e *Event) error {
	l.Slot = s.config.Slot
	s.config.Logger.LogAttrs(ctx, levelOf(p), "cannot hand on", attrs(l, e)...)
	switch p {
	case PolicySkip:
	case PolicyDeadLetter:
		if err := s.config.DeadLetters.Put(ctx, l); err != nil {
			return &stoppedError{fmt.Errorf("cdc: putting a dead letter: %w", err)}
		}
	default:
		return &stoppedError{l.Err}
	}
	s.config.Metrics.Add(DeadLettersTotal, string(l.Reason), 1)
	return nil
}

// stoppedError is one that a policy ends the stream with.
type stoppedError struct{ cause error }

func (e *stoppedError) Error() string { return e.cause.Error() }
func (e *stoppedError) Unwrap() error { return e.cause }

// Schemas that the stream has seen.
func (s *Stream) Schemas() *SchemaCache { return s.schemas }

func (s *Stream) stop(err error) {
	s.cancel(err)
	s.buffer.fail(err)
}

// closeTimeout bounds the last store of the checkpoint.
const closeTimeout = 10 * time.Second

// Close stores what is acknowledged, tells the server, and ends the connection. It
// may be called at any time, and makes Next return ErrClosed. Its error is a StoreError
// where the checkpoint could not be stored: what was acknowledged since comes again.
func (s *Stream) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.checkpointer.save(ctx)
	s.stop(ErrClosed)
	s.running.Wait()
	s.assembling.Lock()
	defer s.assembling.Unlock()
	s.assembler.Close()
	return err
}
