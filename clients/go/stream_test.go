package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

func timeout(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// opened opens a stream on a source, with feedback that does not wait.
func opened(t testing.TB, source *cdctest.Source, change func(*cdc.Config)) *cdc.Stream {
	t.Helper()
	config := cdc.Config{
		Connector: source, Slot: "s", FeedbackInterval: 20 * time.Millisecond, MaxBackoff: 20 * time.Millisecond,
		Store: cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint")),
	}
	if change != nil {
		change(&config)
	}
	stream, err := cdc.Open(timeout(t, 10*time.Second), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	return stream
}

// next gives the next transaction and the keys of its events.
func next(t testing.TB, s *cdc.Stream) (*cdc.Txn, string) {
	t.Helper()
	txn, err := s.Next(timeout(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	keys := ""
	for e, err := range txn.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if v, ok, _ := e.Key.Find(1); ok {
			keys += string(v.Bytes)
		}
	}
	return txn, keys
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

func flushed(s *cdctest.Source) cdc.LSN { status, _ := s.Status(); return status.Flushed }

// Transactions are acknowledged in any order, and the server hears only of those
// without a gap before them, once the store has them.
func TestAcknowledgement(t *testing.T) {
	source := cdctest.NewSource("s")
	store := cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))
	stream := opened(t, source, func(c *cdc.Config) { c.Store = store })
	for _, id := range []string{"a", "b", "c"} {
		source.Insert("public", "t", id)
	}
	var txns []*cdc.Txn
	for _, want := range []string{"a", "b", "c"} {
		txn, keys := next(t, stream)
		if keys != want {
			t.Fatalf("%q, want %q", keys, want)
		}
		txns = append(txns, txn)
	}
	stream.Ack(txns[1])
	stream.Ack(txns[2])
	_, before := source.Status()
	eventually(t, "reports", func() bool { _, n := source.Status(); return n > before+3 })
	if flushed(source) != 0x1000 {
		t.Fatalf("acknowledged %v while the first transaction is not", flushed(source))
	}
	stream.Ack(txns[0])
	eventually(t, "all acknowledged", func() bool { return flushed(source) == txns[2].EndLSN })
	saved, err := store.Load(context.Background())
	if err != nil || saved.EndLSN != txns[2].EndLSN || saved.Position != txns[2].Position() {
		t.Fatal(saved, err)
	}
	info, err := os.Stat(string(store))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
}

type failingStore struct{ cdc.CheckpointStore }

func (f failingStore) Save(ctx context.Context, c *cdc.Checkpoint) error {
	if c.EndLSN > 0x1000 {
		return errors.New("disk full")
	}
	return f.CheckpointStore.Save(ctx, c)
}

// What the store does not have, the server is never told.
func TestNothingBeforeTheStore(t *testing.T) {
	source := cdctest.NewSource("s")
	stream := opened(t, source, func(c *cdc.Config) { c.Store = failingStore{c.Store} })
	source.Insert("public", "t", "a")
	txn, _ := next(t, stream)
	stream.Ack(txn)
	if stream.Flush(context.Background()) == nil {
		t.Error("a checkpoint was stored on a full disk")
	}
	_, before := source.Status()
	eventually(t, "reports", func() bool { _, n := source.Status(); return n > before+3 })
	if flushed(source) != 0x1000 {
		t.Errorf("acknowledged %v, which is not stored", flushed(source))
	}
}

type slowStore struct{ cdc.CheckpointStore }

func (s slowStore) Save(ctx context.Context, c *cdc.Checkpoint) error {
	if c.EndLSN > 0x1000 {
		time.Sleep(500 * time.Millisecond)
	}
	return s.CheckpointStore.Save(ctx, c)
}

// A store that takes its time does not keep the server waiting.
func TestSlowStore(t *testing.T) {
	source := cdctest.NewSource("s")
	stream := opened(t, source, func(c *cdc.Config) { c.Store = slowStore{c.Store} })
	source.Insert("public", "t", "a")
	txn, _ := next(t, stream)
	_, before := source.Status()
	stream.Ack(txn)
	time.Sleep(400 * time.Millisecond) // the store is at work
	if _, n := source.Status(); n < before+5 {
		t.Errorf("%d reports", n-before)
	}
	eventually(t, "acknowledged", func() bool { return flushed(source) >= txn.EndLSN })
}

// An idle stream follows the server's position, but not past what is in flight.
func TestIdleProgress(t *testing.T) {
	source := cdctest.NewSource("s")
	stream := opened(t, source, nil)
	source.Advance(0x9000)
	eventually(t, "idle progress", func() bool { return flushed(source) == 0x9000 })
	b := source.Transaction()
	b.Transaction.CommitLsn, b.EndLsn = 0x9100, 0x9130
	source.Add(b)
	txn, _ := next(t, stream)
	source.Advance(0xA000)
	_, before := source.Status()
	eventually(t, "reports", func() bool { _, n := source.Status(); return n > before+3 })
	if flushed(source) != 0x9000 {
		t.Fatalf("acknowledged %v with a transaction in flight", flushed(source))
	}
	stream.Ack(txn)
	eventually(t, "progress", func() bool { return flushed(source) >= txn.EndLSN })
}

// A lost connection costs nothing and repeats nothing.
func TestReconnect(t *testing.T) {
	source := cdctest.NewSource("s")
	stream := opened(t, source, nil)
	var held []*cdc.Txn
	for i := range 20 {
		source.Insert("public", "t", fmt.Sprint(i, ","))
		if i%3 == 0 {
			source.Disconnect()
		}
		txn, keys := next(t, stream)
		if keys != fmt.Sprint(i, ",") {
			t.Fatalf("%q, want %d", keys, i)
		}
		if held = append(held, txn); i%5 == 4 { // some are in flight when it happens
			for _, txn := range held {
				stream.Ack(txn)
			}
			held = nil
		}
	}
	if source.Connects() < 5 {
		t.Errorf("%d connections", source.Connects())
	}
}

// What was not acknowledged comes again, what was does not.
func TestResume(t *testing.T) {
	source := cdctest.NewSource("s")
	store := cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))
	stream := opened(t, source, func(c *cdc.Config) { c.Store = store })
	source.Insert("public", "t", "a")
	source.Insert("public", "t", "b")
	txn, _ := next(t, stream)
	stream.Ack(txn)
	next(t, stream)
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Next(context.Background()); !errors.Is(err, cdc.ErrClosed) {
		t.Error("after Close:", err)
	}
	// A server that repeats what was acknowledged is not believed.
	source.SetServer(func(s *cdc.Server) { s.ConfirmedFlush = 0x1000 })
	checkpoint, _ := store.Load(context.Background())
	checkpoint.EndLSN = 0x1000
	if err := store.Save(context.Background(), checkpoint); err != nil {
		t.Fatal(err)
	}
	stream = opened(t, source, func(c *cdc.Config) { c.Store = store })
	if _, keys := next(t, stream); keys != "b" {
		t.Fatalf("%q", keys)
	}
}

func TestRefusals(t *testing.T) {
	checkpoint := cdc.Checkpoint{SystemIdentifier: 1, Timeline: 2, Database: "test", Slot: "s", EndLSN: 0x5000}
	for name, c := range map[string]struct {
		server  func(*cdc.Server)
		history string
		fine    bool
	}{
		"same":                     {func(s *cdc.Server) {}, "", true},
		"slot ahead":               {func(s *cdc.Server) { s.ConfirmedFlush = 0x5001 }, "", false},
		"slot behind":              {func(s *cdc.Server) { s.ConfirmedFlush = 0x10 }, "", true},
		"other system":             {func(s *cdc.Server) { s.SystemIdentifier = 2 }, "", false},
		"other database":           {func(s *cdc.Server) { s.Database, s.SlotDatabase = "x", "x" }, "", false},
		"slot of another database": {func(s *cdc.Server) { s.SlotDatabase = "x" }, "", false},
		"other plugin":             {func(s *cdc.Server) { s.Plugin = "pgoutput" }, "", false},
		"no slot":                  {func(s *cdc.Server) { s.Plugin = "" }, "", false},
		"beyond the server":        {func(s *cdc.Server) { s.WALEnd = 0x4FFF }, "", false},
		"earlier timeline":         {func(s *cdc.Server) { s.Timeline = 1 }, "", false},
		"later timeline":           {func(s *cdc.Server) { s.Timeline = 3 }, "1\t0/100\tx\n2\t0/5000\tx\n", true},
		"beyond the branch point":  {func(s *cdc.Server) { s.Timeline = 3 }, "1\t0/100\tx\n2\t0/4FFF\tx\n", false},
		"not in its history":       {func(s *cdc.Server) { s.Timeline = 3 }, "1\t0/4000\tx\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			source := cdctest.NewSource("s")
			source.SetServer(func(s *cdc.Server) { s.Timeline, s.WALEnd = 2, 0x6000; c.server(s) })
			source.SetTimelineHistory(c.history)
			store := cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))
			if err := store.Save(context.Background(), &checkpoint); err != nil {
				t.Fatal(err)
			}
			stream, err := cdc.Open(timeout(t, time.Second), cdc.Config{Connector: source, Slot: "s", Store: store})
			var refused *cdc.RefusedError
			if c.fine != (err == nil) || err != nil && !errors.As(err, &refused) {
				t.Error(err)
			}
			if err == nil {
				stream.Close()
			}
		})
	}
}

// Checkpoints that another consumer stores while this one starts are beyond what the server said before: it is asked
// again, as long as they move.
func TestCheckpointMovesOn(t *testing.T) {
	source := cdctest.NewSource("s")
	source.SetServer(func(s *cdc.Server) { s.Timeline, s.WALEnd = 2, 0x4000 })
	store := cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))
	checkpoint := cdc.Checkpoint{SystemIdentifier: 1, Timeline: 2, Database: "test", Slot: "s", EndLSN: 0x5000}
	if err := store.Save(context.Background(), &checkpoint); err != nil {
		t.Fatal(err)
	}
	at := cdc.LSN(0x5000)
	moving := loading{store, func() {
		if at == 0x9000 {
			return
		}
		at += 0x1000
		source.SetServer(func(s *cdc.Server) { s.WALEnd = at }) // for the next connection
		checkpoint.EndLSN = at
		if err := store.Save(context.Background(), &checkpoint); err != nil {
			t.Error(err)
		}
	}}
	stream, err := cdc.Open(timeout(t, 5*time.Second), cdc.Config{Connector: source, Slot: "s", Store: moving})
	if err != nil {
		t.Fatal(err)
	}
	stream.Close()
}

// loading is a store that tells of being asked.
type loading struct {
	cdc.CheckpointStore
	asked func()
}

func (l loading) Load(ctx context.Context) (*cdc.Checkpoint, error) {
	l.asked()
	return l.CheckpointStore.Load(ctx)
}

// Bounded buffers: a consumer that does not come costs neither memory nor the
// connection.
func TestBackpressure(t *testing.T) {
	source := cdctest.NewSource("s")
	metrics := newMeter()
	stream := opened(t, source, func(c *cdc.Config) { c.BufferBytes = 2000; c.Metrics = metrics })
	for i := range 500 {
		source.Insert("public", "t", fmt.Sprint(i, ","))
	}
	time.Sleep(100 * time.Millisecond)
	if most := metrics.most(cdc.BufferedBytes); most > 2000 || most == 0 {
		t.Errorf("%v bytes in the buffer", most)
	}
	_, before := source.Status()
	eventually(t, "reports while the consumer sleeps", func() bool { _, n := source.Status(); return n > before+3 })
	for i := range 500 {
		txn, keys := next(t, stream)
		if keys != fmt.Sprint(i, ",") {
			t.Fatalf("%q, want %d", keys, i)
		}
		stream.Ack(txn)
	}
	if source.Connects() != 1 {
		t.Error("connected again")
	}
	if n := metrics.count(cdc.EventsTotal, "insert"); n != 500 {
		t.Errorf("%d events counted", n)
	}
}

// While a prepared transaction waits, the server keeps it, and what commits
// meanwhile does not come again.
func TestPreparedWaits(t *testing.T) {
	source := cdctest.NewSource("s")
	store := cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))
	change := func(c *cdc.Config) { c.Store = store }
	stream := opened(t, source, change)
	fingerprint, table := cdctest.Table("public", "t")
	prepared := source.Transaction()
	prepared.Transaction.Gid, prepared.Transaction.PrepareLsn, prepared.Transaction.CommitLsn = "g", prepared.Transaction.CommitLsn, 0
	prepared.Outcome, prepared.EventCount = cdc.OutcomePrepared, 1
	prepared.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
	prepared.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpInsert, Schema: uint64(fingerprint), Key: []byte("\x0a\x01p")}}
	source.Add(prepared)
	source.Insert("public", "t", "a")
	source.Insert("public", "t", "b")
	first, keys := next(t, stream)
	second, more := next(t, stream)
	if keys+more != "ab" {
		t.Fatal(keys, more)
	}
	if c := stream.Checkpoint(first); c.Position != first.Position() || c.EndLSN != 0x1000 {
		t.Error("as if acknowledged:", c)
	}
	want := first.Position()
	stream.Ack(first)
	_ = second
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := store.Load(context.Background()); err != nil || c.Position != want || c.EndLSN != 0x1000 {
		t.Error(c, err)
	}
	outcome := source.Transaction()
	outcome.Transaction.Gid, outcome.Transaction.Xid = "g", prepared.Transaction.Xid
	source.Add(outcome)
	stream = opened(t, source, change)
	second, keys = next(t, stream)
	third, more := next(t, stream)
	if keys != "b" || more != "p" || third.Outcome != cdc.OutcomeCommitted {
		t.Errorf("%q, %q", keys, more)
	}
	stream.Ack(second)
	stream.Ack(third)
	eventually(t, "all acknowledged", func() bool { return flushed(source) >= third.EndLSN })
}

// Lag in seconds is the age of what waits longest, whatever was acknowledged after it;
// a prepared transaction is not late.
func TestLagSeconds(t *testing.T) {
	source := cdctest.NewSource("s")
	metrics := newMeter()
	stream := opened(t, source, func(c *cdc.Config) { c.Metrics = metrics })
	prepared := source.Transaction()
	prepared.Transaction.Gid, prepared.Transaction.PrepareLsn, prepared.Transaction.CommitLsn = "g", prepared.Transaction.CommitLsn, 0
	prepared.Outcome, prepared.Transaction.CommitTime = cdc.OutcomePrepared, time.Now().Add(-time.Hour).UnixMicro()
	source.Add(prepared)
	var txns []*cdc.Txn
	for _, age := range []time.Duration{100 * time.Second, 50 * time.Second, 20 * time.Second} {
		b := source.Transaction()
		b.Transaction.CommitTime = time.Now().Add(-age).UnixMicro()
		source.Add(b)
		txn, _ := next(t, stream)
		txns = append(txns, txn)
	}
	within := func(low, high float64) func() bool {
		return func() bool { lag := metrics.now(cdc.LagSeconds); return lag >= low && lag <= high }
	}
	eventually(t, "the first one's age", within(100, 120))
	stream.Ack(txns[1])
	_, before := source.Status()
	eventually(t, "reports", func() bool { _, n := source.Status(); return n > before+3 })
	if !within(100, 120)() {
		t.Error(metrics.now(cdc.LagSeconds))
	}
	stream.Ack(txns[0])
	eventually(t, "the third one's age", within(20, 40))
	stream.Ack(txns[2])
	eventually(t, "none", within(0, 0))
	b := source.Transaction()
	b.Transaction.CommitTime = time.Now().Add(-30 * time.Second).UnixMicro()
	source.Add(b)
	eventually(t, "lag of what has just come", within(30, 50))
	txn, _ := next(t, stream)
	stream.Ack(txn)
	eventually(t, "none", within(0, 0))
}
