package cdc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/metrics"
	"github.com/pgcdc/cdc/clients/go/transport"
)

// reader takes batches from the connection to the buffer, and connects again
// when that is lost.
type reader struct {
	stream     *Stream
	retry      backoff
	connection int
	lost       bool
	said       change.Connection        // what this connection has said
	told       map[Fingerprint]struct{} // schemas in another version than expected
	beat       bool                     // the batch that was checked last has a heartbeat
	// When the reader began to wait for the server, in Unix nanoseconds; 0 while
	// it does something else.
	waiting atomic.Int64
	// How often in a row a connection was given up since nothing came on it.
	silent atomic.Int32
	gaveUp atomic.Int64 // after how many nanoseconds this connection was
}

func (r *reader) run(ctx context.Context, session Session) {
	s := r.stream
	for {
		err := r.session(ctx, session)
		if ctx.Err() != nil {
			s.buffer.fail(context.Cause(ctx))
			return
		}
		for {
			if isPermanent(err) {
				s.config.Logger.Error("the stream has ended", "slot", s.config.Slot, "error", err)
				s.stop(err)
				return
			}
			reason := reconnectReason(err)
			s.config.Logger.Warn("the connection is lost", "slot", s.config.Slot, "reason", reason, "error", err)
			if !r.retry.wait(ctx) {
				s.buffer.fail(context.Cause(ctx))
				return
			}
			s.config.Metrics.Add(ReconnectsTotal, reason, 1)
			if session, err = r.connect(ctx); err == nil {
				break
			}
		}
	}
}

// connect goes on behind what has been received: what of it is not acknowledged
// is still in the buffer or with the consumer.
func (r *reader) connect(ctx context.Context) (Session, error) {
	s := r.stream
	session, _, err := connectTo(ctx, &s.config)
	if err != nil {
		return nil, err
	}
	checkpoint := s.checkpointer.checkpoint()
	_, _, checkpoint.EndLSN = s.acks.State()
	if p, ok := session.(transport.Puller); ok {
		p.Limit(max(1, min(s.config.FetchBytes, s.buffer.free())))
	}
	if err = checkStart(ctx, session, checkpoint); err == nil {
		err = session.Start(ctx, checkpoint.EndLSN)
	}
	if err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// session reads until the connection ends.
func (r *reader) session(ctx context.Context, session Session) error {
	s := r.stream
	defer session.Close()
	stop := context.AfterFunc(ctx, session.Close)
	defer stop()
	began := time.Now()
	defer func() {
		if time.Since(began) > healthy {
			r.retry.progress()
		}
	}()
	r.connection++
	r.said.Reset()
	r.lost = false
	s.acks.SetInside(false)
	s.checkpointer.attach(session)
	defer s.checkpointer.detach()
	defer s.acks.More()
	defer r.watch(session)()
	_, _, from := s.acks.State()
	s.config.Logger.Info("connected", "slot", s.config.Slot, "lsn", from.String(), "timeline", session.Server().Timeline)
	s.checkpointer.report(false)
	pull, _ := session.(transport.Puller)
	for {
		if pull != nil && pull.Asks() {
			n, err := s.buffer.room(ctx, s.config.FetchBytes, s.config.FeedbackInterval)
			if err != nil {
				return err
			}
			pull.Limit(n)
		}
		r.waiting.Store(time.Now().UnixNano())
		m, err := session.Receive()
		r.waiting.Store(0)
		if err != nil {
			if limit := r.gaveUp.Load(); limit != 0 {
				err = fmt.Errorf("cdc: nothing was heard of the server for %v", time.Duration(limit))
			}
			return err
		}
		r.silent.Store(0)
		if m.Frame == nil {
			s.acks.Idle(m.WALEnd)
			s.checkpointer.heard(m)
			continue
		}
		s.checkpointer.heard(m)
		s.acks.More()
		r.retry.progress()
		if err := r.frame(ctx, m.Frame); err != nil {
			return err
		}
	}
}

// silence is after how long a connection is given up on which nothing is heard, where the
// server itself has no wal_sender_timeout. It is asked to say something more often.
const silence = time.Minute

// watch closes a connection on which nothing comes although the server was asked,
// until the function that it returns is called. It is more patient every time, should
// the server just be slow.
func (r *reader) watch(session Session) (stop func()) {
	limit := silence
	if timeout := session.Server().SenderTimeoutMS; timeout > 0 {
		limit = time.Duration(timeout) * time.Millisecond
	}
	if p, ok := session.(transport.Puller); ok {
		limit += p.Silence()
	}
	limit <<= min(r.silent.Load(), 6)
	r.gaveUp.Store(0)
	ticker := time.NewTicker(max(limit/6, time.Millisecond))
	done := make(chan struct{})
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				since := r.waiting.Load()
				if since != 0 && time.Since(time.Unix(0, since)) > limit {
					r.silent.Add(1)
					r.gaveUp.Store(int64(limit))
					session.Close()
					return
				}
			}
		}
	}()
	return func() { close(done) }
}

// frame takes in one message of the server.
func (r *reader) frame(ctx context.Context, frame []byte) error {
	s := r.stream
	s.config.Metrics.Add(BytesTotal, "", uint64(len(frame)))
	s.config.Metrics.Add(BatchesTotal, "", 1)
	b, err := change.ParseFrame(frame, s.schemas)
	if err == nil && b.HasTransaction && (b.Outcome < OutcomeOpen || b.Outcome > OutcomePrepared) {
		err = fault.Damaged("unknown outcome")
	}
	if err != nil {
		raw := frame
		if unframed, err := Unframe(frame); err == nil {
			raw = unframed
		}
		if err := s.handle(ctx, s.config.OnDamage, &DeadLetter{Reason: ReasonDamage, Err: err, Batch: bytes.Clone(raw)}, nil); err != nil {
			return err
		}
		r.lost = true
		return nil
	}
	r.said.Take(b)
	last, err := r.check(ctx, b)
	if err != nil {
		return err
	}
	d := delivery{batch: b, connection: r.connection, lost: r.lost}
	if b.Ends() {
		if b.HasTransaction {
			last.CommitLSN = b.Transaction.CommitLSN
			if last.LSN == 0 {
				last.LSN = last.CommitLSN
			}
		}
		d.receipt = s.acks.Add(last, b.EndLSN, b.Transaction.CommitTime())
		if r.beat {
			d.beat = b.Transaction.CommitTimeUS
		}
	}
	if b.HasTransaction {
		// A transaction in progress has no commit yet, and comes again from its start.
		s.acks.SetInside(b.Outcome == OutcomeOpen && (b.Transaction.CommitLSN|b.Transaction.PrepareLSN) != 0)
	}
	if err := s.buffer.put(ctx, d); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// check walks over the events, and lets those that cannot be handed on be left
// out, if the policies say so. It gives the position of the last one.
func (r *reader) check(ctx context.Context, b *Batch) (last Position, err error) {
	s := r.stream
	unknown, redacted := uint64(b.UnknownFields()), uint64(0)
	var counts [len(opLabels)]uint64
	var skip []int
	r.beat = false
	c := b.Events()
	for n := 0; ; n++ {
		more := c.Next()
		if !more && c.Damage() == nil {
			break
		}
		e := c.Event()
		reason, policy, wrong := r.judge(e, c.Damage())
		if wrong != nil {
			piece, err := e.AppendSingle(nil, nil)
			if err != nil {
				return last, err
			}
			if err := s.handle(ctx, policy, &DeadLetter{Reason: reason, Err: wrong, Batch: piece, Position: e.Position()}, e); err != nil {
				return last, err
			}
			skip = append(skip, n)
			c.GoOn()
			continue
		}
		last = e.Position()
		unknown += uint64(e.UnknownFields())
		counts[e.Op]++ // judge knows it
		if t := e.Table(); t != nil && t.Redacted() {
			redacted++
		}
		r.beat = r.beat || e.Op == OpMessage && e.HasPrefix(metrics.Heartbeat)
	}
	b.Skip(skip)
	b.Walked(last, counts[OpSchema] > 0)
	for op, n := range counts {
		s.count(EventsTotal, opLabels[op], n)
	}
	s.count(UnknownFieldsTotal, "", unknown)
	s.count(RedactedTotal, "", redacted)
	return last, c.Err()
}

// judge says what is wrong with an event, and what is done about that.
func (r *reader) judge(e *Event, err error) (Reason, Policy, error) {
	s := r.stream
	if err != nil {
		return ReasonDamage, s.config.OnDamage, err
	}
	if e.Op < OpInsert || e.Op > OpSchema {
		return ReasonDamage, s.config.OnDamage, fault.Damaged("unknown operation")
	}
	if e.Fingerprint != 0 && e.Table() == nil || e.Fingerprint == 0 && e.Op != OpMessage && e.Op != OpSchema {
		return ReasonUnknownSchema, s.config.OnUnknownSchema, &UnknownSchemaError{Fingerprint: e.Fingerprint}
	}
	if err := s.config.mismatch(e); err != nil {
		s.count(VersionMismatchesTotal, err.Relation, 1)
		r.tell(e, err)
		if s.config.OnVersion != PolicyPass {
			return ReasonVersion, s.config.OnVersion, err
		}
	}
	if e.Failed() && s.config.OnFailure != PolicyPass {
		failure, err := e.Failure()
		if err != nil {
			return ReasonDamage, s.config.OnDamage, err
		}
		return ReasonFailure, s.config.OnFailure, failure
	}
	return "", PolicyStop, nil
}

// tell logs that rows of a schema come in another version than expected, once.
func (r *reader) tell(e *Event, err *VersionError) {
	if _, told := r.told[e.Fingerprint]; told {
		return
	}
	if r.told == nil {
		r.told = map[Fingerprint]struct{}{}
	}
	r.told[e.Fingerprint] = struct{}{}
	config := &r.stream.config
	list := append(About(e), slog.String("slot", config.Slot), slog.Uint64("expected", uint64(err.Want)), slog.Any("error", err))
	config.Logger.LogAttrs(context.Background(), slog.LevelWarn, "rows come in another version", list...)
}

var opLabels = [...]string{"unspecified", "insert", "update", "delete", "truncate", "message", "read", "rewrite", "schema"}

func (s *Stream) count(c Counter, label string, n uint64) {
	if n > 0 {
		s.config.Metrics.Add(c, label, n)
	}
}
