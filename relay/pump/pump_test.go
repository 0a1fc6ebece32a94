package pump

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/checkpoint"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/jetstream"
	"github.com/pgcdc/cdc/relay/kafka"
	"github.com/pgcdc/cdc/relay/plan"
)

// log of what a test says, if it fails.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// target is a bus under test, and how it is read.
type target struct {
	driver bus.Driver
	single bool
	read   func(t *testing.T) []bus.Message
}

var settings = config.NATS{Listen: "127.0.0.1:0", Stream: "CDC", Partitions: 3, Replicas: 1, InFlight: 1 << 20}

func onJetStream(t *testing.T) target {
	c := settings
	c.Embedded = t.TempDir()
	d, err := jetstream.New(c, "p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return target{d, true, func(t *testing.T) []bus.Message {
		all, err := verify.JetStream(t.Context(), d.URL(), "CDC")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}}
}

func onKafka(t *testing.T) target {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	d, err := kafka.New(config.Kafka{Brokers: cluster.ListenAddrs(), Create: true, Partitions: 3, Replication: 1, Compression: "none",
		Transactions: true, TransactionWait: 20 * time.Millisecond, TransactionTime: 20 * time.Millisecond, TransactionBytes: 1 << 20, TransactionEvents: 5, TransactionLimit: 10 * time.Second}, "p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return target{d, false, func(t *testing.T) []bus.Message {
		all, err := verify.Kafka(t.Context(), cluster.ListenAddrs(), "p")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}}
}

var buses = map[string]func(*testing.T) target{"jetstream": onJetStream, "kafka": onKafka}

func eachBus(t *testing.T, f func(*testing.T, target)) {
	for name, make := range buses {
		t.Run(name, func(t *testing.T) { f(t, make(t)) })
	}
}

func newPump(t testing.TB, source *cdctest.Source, d bus.Driver) *Pump {
	return &Pump{Client: cdc.Config{Connector: source, Slot: "s", FeedbackInterval: 50 * time.Millisecond}, Driver: d, MaxBackoff: 50 * time.Millisecond,
		Plan: plan.Options{Prefix: "p", Keyed: true, Logger: logger(t)}, Logger: logger(t)}
}

// running runs a pump until the function that it gives is called, which returns its error.
func running(t testing.TB, p *Pump) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("it does not stop")
		}
	}
}

// confirmed waits until PostgreSQL has heard of all that a source has.
func confirmed(t *testing.T, source *cdctest.Source) {
	t.Helper()
	end := source.Transaction() // its place is behind all others
	for range 1200 {
		if status, _ := source.Status(); uint64(status.Flushed)+0x100 > end.Transaction.FirstLsn {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	status, _ := source.Status()
	t.Fatalf("PostgreSQL has heard of %v, not of %x", status.Flushed, end.Transaction.FirstLsn)
}

// carried runs a pump until PostgreSQL has heard of all that a source has.
func carried(t *testing.T, source *cdctest.Source, p *Pump) {
	t.Helper()
	stop := running(t, p)
	confirmed(t, source)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// workload adds transactions of all kinds, and gives the number of messages that they are.
func workload(source *cdctest.Source) (messages int) {
	for i := range 20 {
		ids := make([]string, 1+i%9)
		for j := range ids {
			ids[j] = fmt.Sprintf("%d-%d", i, j)
		}
		source.Insert("public", "t", ids...)
		messages += len(ids)
	}
	fingerprint, table := cdctest.Table("public", "t")
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
	key := func(text string) []byte { return append([]byte{1<<3 | 2, byte(len(text))}, text...) }
	b.Events = []*cdcv1.ChangeEvent{
		{Op: cdc.OpUpdate, Schema: uint64(fingerprint), Key: key("0-0"), NewKey: key("new")}, // 2 messages
		{Op: cdc.OpTruncate, Schema: uint64(fingerprint), LsnOffset: 1},                      // 3
		{Op: cdc.OpInsert, Schema: uint64(fingerprint), LsnOffset: 2, Key: key("a"), New: nil},
		{Op: cdc.OpTruncate, Schema: uint64(fingerprint), LsnOffset: 3}, // 3, at the end
	}
	b.EventCount = 4
	source.Add(b)
	return messages + 9
}

func check(t *testing.T, to target, messages int) {
	t.Helper()
	all := to.read(t)
	if err := verify.Once(all, to.single); err != nil {
		t.Error(err)
	}
	if len(all) != messages {
		t.Errorf("there are %d messages, not %d", len(all), messages)
	}
}

func TestCarries(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		source := cdctest.NewSource("s")
		n := workload(source)
		carried(t, source, newPump(t, source, to.driver))
		check(t, to, n)
		// Again, with more: nothing comes twice.
		n += workload(source)
		carried(t, source, newPump(t, source, to.driver))
		check(t, to, n)
	})
}

// failing has a bus fail after so many sends, when what was sent is stored.
type failing struct {
	bus.Driver
	after atomic.Int64
	harsh bool // what was sent may be stored or not
}

type failingBus struct {
	bus.Bus
	driver *failing
}

func (f *failing) Open(ctx context.Context, e bus.Events) (bus.Bus, error) {
	b, err := f.Driver.Open(ctx, e)
	return &failingBus{b, f}, err
}

func (f *failingBus) Send(ctx context.Context, messages []bus.Message) error {
	if f.driver.after.Add(-1) == 0 {
		if f.driver.harsh {
			return errors.New("a failure that is put in")
		}
		if err := f.Flush(ctx); err != nil {
			return err
		}
		return errors.New("a failure that is put in")
	}
	return f.Bus.Send(ctx, messages)
}

// Wherever a session ends, in a transaction too, the next one goes on right there.
func TestGoesOnWithinATransaction(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		source := cdctest.NewSource("s")
		broken := &failing{Driver: to.driver}
		p := newPump(t, source, broken)
		stop := running(t, p)
		n := 0
		for _, after := range []int64{1, 3, 7, 60, 62, 95} {
			broken.after.Store(after)
			n += workload(source)
			confirmed(t, source)
			if broken.after.Load() > 0 {
				t.Errorf("there was no failure after %d", after)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		check(t, to, n)
	})
}

// Two relays at once, and no slot that keeps them apart: the bus does.
func TestTwoAtOnce(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		source := cdctest.NewSource("s")
		first, second := running(t, newPump(t, source, to.driver)), running(t, newPump(t, source, to.driver))
		n := 0
		for range 5 {
			n += workload(source)
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(500 * time.Millisecond)
		if err := second(); err != nil {
			t.Error(err)
		}
		confirmed(t, source)
		if err := first(); err != nil {
			t.Error(err)
		}
		check(t, to, n)
	})
}

// An idle database moves the slot; a start does not take that for a gap.
func TestIdle(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		source := cdctest.NewSource("s")
		n := workload(source)
		stop := running(t, newPump(t, source, to.driver))
		confirmed(t, source)
		for i := range 5 {
			source.Advance(cdc.LSN(0x100000 * (i + 1)))
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if status, _ := source.Status(); status.Flushed < 0x100000 {
			t.Errorf("PostgreSQL has heard of %v", status.Flushed)
		}
		stop = running(t, newPump(t, source, to.driver))
		time.Sleep(500 * time.Millisecond)
		if err := stop(); err != nil {
			t.Error(err)
		}
		check(t, to, n)
	})
}

// A slot that was made anew, or moved by another, is past the log: the start is refused.
func TestSlotPastTheLog(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		source := cdctest.NewSource("s")
		workload(source)
		carried(t, source, newPump(t, source, to.driver))
		source.SetServer(func(s *cdc.Server) { s.ConfirmedFlush, s.WALEnd = 0x900000, 0x900000 })
		err := newPump(t, source, to.driver).Run(t.Context())
		var refused *cdc.RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("the error is %v", err)
		}
		source.SetServer(func(s *cdc.Server) { s.SystemIdentifier = 2 })
		if err := newPump(t, source, to.driver).Run(t.Context()); !errors.As(err, &refused) {
			t.Errorf("on another system: %v", err)
		}
	})
}

// After pg_upgrade the system is another one: once that is accepted, the relay goes on where the slot is.
func TestAnotherSystem(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		source := cdctest.NewSource("s")
		n := workload(source)
		carried(t, source, newPump(t, source, to.driver))
		upgraded := cdctest.NewSource("s")
		upgraded.SetServer(func(s *cdc.Server) { s.SystemIdentifier = 2 })
		workload(upgraded) // at the positions of before
		p := newPump(t, upgraded, to.driver)
		var refused *cdc.RefusedError
		if err := p.Run(t.Context()); !errors.As(err, &refused) {
			t.Errorf("it is not accepted: %v", err)
		}
		p = newPump(t, upgraded, to.driver)
		p.Client.AcceptSystem = true
		carried(t, upgraded, p)
		upgraded.Insert("public", "t", "later")
		carried(t, upgraded, newPump(t, upgraded, to.driver)) // from then on it is the log's
		systems := map[string]int{}
		for _, m := range to.read(t) {
			source, err := bus.ParseSource(m.Get(bus.SourceName))
			if err != nil {
				t.Fatal(err)
			}
			systems[fmt.Sprint(source.System)]++
		}
		if systems["1"] != n || systems["2"] != n+1 {
			t.Errorf("messages of systems: %v, not %d and %d", systems, n, n+1)
		}
	})
}

// A stream that was removed and made anew is told from one that is new.
func TestStreamIsGone(t *testing.T) {
	to := onJetStream(t)
	source := cdctest.NewSource("s")
	workload(source)
	carried(t, source, newPump(t, source, to.driver))
	removeStream(t, to.driver.(*jetstream.Driver).URL())
	workload(source)
	var lost *checkpoint.LostError
	if err := newPump(t, source, to.driver).Run(t.Context()); !errors.As(err, &lost) {
		t.Errorf("the error is %v", err)
	}
}

// The checkpoint is lost with the broker's power, the log is there: it counts.
func TestCheckpointIsGone(t *testing.T) {
	to := onJetStream(t)
	source := cdctest.NewSource("s")
	n := workload(source)
	carried(t, source, newPump(t, source, to.driver))
	removeCheckpoint(t, to.driver.(*jetstream.Driver).URL())
	n += workload(source)
	carried(t, source, newPump(t, source, to.driver))
	check(t, to, n)
}

// Or what is left of it is older than what PostgreSQL has heard: the log counts, too.
func TestCheckpointIsOld(t *testing.T) {
	to := onJetStream(t)
	source := cdctest.NewSource("s")
	url := to.driver.(*jetstream.Driver).URL()
	var old []byte
	n := 0
	for range 3 {
		n += workload(source)
		carried(t, source, newPump(t, source, to.driver))
		if old == nil {
			old = readCheckpoint(t, url)
		}
		writeCheckpoint(t, url, old)
	}
	check(t, to, n)
}

func TestForeignMessage(t *testing.T) {
	to := onJetStream(t)
	source := cdctest.NewSource("s")
	workload(source)
	carried(t, source, newPump(t, source, to.driver))
	publish(t, to.driver.(*jetstream.Driver).URL(), "p.somebody")
	err := newPump(t, source, to.driver).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "only one who writes") {
		t.Errorf("the error is %v", err)
	}
}

// cutting has a bus fail once, when it has stored so many messages.
type cutting struct {
	bus.Driver
	left atomic.Int64
}

type cuttingBus struct {
	bus.Bus
	driver *cutting
}

func (c *cutting) Open(ctx context.Context, e bus.Events) (bus.Bus, error) {
	b, err := c.Driver.Open(ctx, e)
	return &cuttingBus{b, c}, err
}

func (c *cuttingBus) Send(ctx context.Context, messages []bus.Message) error {
	for i := range messages {
		if err := c.Bus.Send(ctx, messages[i:i+1]); err != nil {
			return err
		}
		if c.driver.left.Add(-1) == 0 {
			if err := c.Flush(ctx); err != nil {
				return err
			}
			return errors.New("a failure that is put in")
		}
	}
	return nil
}
