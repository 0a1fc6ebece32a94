package cdc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgcdc/cdc/clients/go/internal/acks"
)

// checkpointer stores checkpoints and reports what is stored to the server. It runs
// apart from the reader and the consumer: neither delays it.
type checkpointer struct {
	config *Config
	acks   *acks.Tracker

	saving sync.Mutex // held while the store is at work

	mu       sync.Mutex
	saved    Checkpoint
	session  Session
	interval time.Duration
	walEnd   LSN
	restart  LSN // from where on the server keeps WAL, 0 if that is not known

	wake chan struct{} // report now
	poke chan struct{} // store now

	failed func(error)  // ends the stream
	beat   atomic.Int64 // when the last heartbeat committed, in microseconds since 1970
}

// saveInterval is how often the checkpoint is stored if it has moved.
const saveInterval = time.Second

func newCheckpointer(config *Config, a *acks.Tracker, c *Checkpoint) *checkpointer {
	return &checkpointer{config: config, acks: a, saved: *c, interval: config.FeedbackInterval, wake: make(chan struct{}, 1), poke: make(chan struct{}, 1)}
}

// run stores and reports, each on its own, so that a slow store does not make the
// server believe that we are gone.
func (k *checkpointer) run(ctx context.Context) {
	var saver sync.WaitGroup
	saver.Add(1)
	go func() {
		defer saver.Done()
		k.every(ctx, k.poke, saveInterval, func() {
			if err := k.saveUntilStored(ctx); err != nil && ctx.Err() == nil {
				k.failed(err)
			}
		})
	}()
	k.every(ctx, k.wake, k.config.FeedbackInterval, func() { k.report(true) })
	saver.Wait()
}

// every calls f at the interval, or what the server needs if that is less, and when
// it is woken, until ctx ends.
func (k *checkpointer) every(ctx context.Context, wake <-chan struct{}, interval time.Duration, f func()) {
	for {
		timer := time.NewTimer(min(interval, k.due()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-wake:
			timer.Stop()
		case <-timer.C:
		}
		f()
	}
}

func (k *checkpointer) due() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.interval
}

// attach takes over a new connection.
func (k *checkpointer) attach(session Session) {
	server := session.Server()
	k.config.Metrics.Set(Connected, 1)
	defer k.wakeUp() // the interval may be shorter
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session = session
	k.saved.Timeline = server.Timeline
	k.walEnd = max(k.walEnd, server.WALEnd)
	k.restart = max(k.restart, server.Restart)
	k.interval = k.config.FeedbackInterval
	if timeout := time.Duration(server.SenderTimeoutMS) * time.Millisecond; timeout > 0 {
		k.interval = min(k.interval, timeout/3)
	}
}

func (k *checkpointer) detach() {
	k.config.Metrics.Set(Connected, 0)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session = nil
}

// retains notes from where on the server keeps WAL.
func (k *checkpointer) retains(restart LSN) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.restart = max(k.restart, restart)
}

// heard takes in a message's header.
func (k *checkpointer) heard(m ServerMessage) {
	k.mu.Lock()
	k.walEnd = max(k.walEnd, m.WALEnd)
	k.mu.Unlock()
	if m.ReplyRequested {
		k.wakeUp()
	}
}

// beats takes in when a heartbeat committed.
func (k *checkpointer) beats(commitUS int64) {
	k.beat.Store(commitUS)
	k.measureBeat()
}

func (k *checkpointer) measureBeat() {
	if at := k.beat.Load(); at != 0 {
		k.config.Metrics.Set(HeartbeatAgeSeconds, max(0, time.Since(time.UnixMicro(at)).Seconds()))
	}
}

// wakeUp makes both goroutines act, and look at the interval anew.
func (k *checkpointer) wakeUp() {
	for _, c := range [...]chan struct{}{k.wake, k.poke} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (k *checkpointer) checkpoint() *Checkpoint {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.saved
	return &c
}

// maxStorePause is the longest time between attempts to store a checkpoint.
const maxStorePause = 5 * time.Second

// saveUntilStored is save, again and again until the store works or has failed for too long.
// Meanwhile nothing new is reported.
func (k *checkpointer) saveUntilStored(ctx context.Context) error {
	began := time.Now()
	for pause := minBackoff; ; pause = min(2*pause, maxStorePause) {
		err := k.save(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if time.Since(began)+pause > k.config.StoreTimeout {
			return err
		}
		k.config.Logger.Warn("the checkpoint cannot be stored; this is tried again", "slot", k.config.Slot, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// StoreError: the checkpoint could not be stored.
type StoreError struct{ Err error }

// Error implements error.
func (e *StoreError) Error() string { return "cdc: storing the checkpoint: " + e.Err.Error() }

// Unwrap gives the store's own error.
func (e *StoreError) Unwrap() error { return e.Err }

// save stores the checkpoint if it has moved, and reports it.
func (k *checkpointer) save(ctx context.Context) error {
	k.saving.Lock()
	defer k.saving.Unlock()
	c := k.checkpoint()
	position, end, _ := k.acks.State()
	if c.EndLSN == end && c.Position == position {
		return nil
	}
	c.Position, c.EndLSN = position, end
	if err := k.config.Store.Save(ctx, c); err != nil {
		k.config.Metrics.Add(StoreFailuresTotal, "", 1)
		return &StoreError{err}
	}
	k.mu.Lock()
	k.saved.Position, k.saved.EndLSN = position, end
	k.mu.Unlock()
	k.report(false)
	return nil
}

// report tells the server what is stored. Only what is durable is ever told, and
// never 0, for which some servers take everything that was sent.
func (k *checkpointer) report(ping bool) {
	_, _, received := k.acks.State()
	k.mu.Lock()
	session, flushed := k.session, k.saved.EndLSN
	lag := float64(0)
	if k.walEnd > flushed {
		lag = float64(k.walEnd - flushed)
	}
	retained := LSN(0)
	if k.restart != 0 && k.walEnd > k.restart {
		retained = k.walEnd - k.restart
	}
	k.mu.Unlock()
	k.config.Metrics.Set(LagBytes, lag)
	k.config.Metrics.Set(RetainedWALBytes, float64(retained))
	k.config.Metrics.Set(LagSeconds, k.acks.Lag().Seconds())
	k.measureBeat()
	if session == nil || flushed == 0 {
		return
	}
	if err := session.SendStatus(Status{Written: max(received, flushed), Flushed: flushed, RequestReply: ping}); err != nil {
		k.config.Logger.Warn("progress cannot be reported", "slot", k.config.Slot, "lsn", flushed.String(), "error", err)
		session.Close() // the reader connects again
	}
}
