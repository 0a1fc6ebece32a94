package pump

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/jetstream"
)

// A server elsewhere loses its tail with its power and is back at once, while the relay has nothing to send. It
// must notice: PostgreSQL would otherwise hear, when the time of hold_back is over, that what is lost is stored.
func TestTailIsLostWhileIdle(t *testing.T) {
	folder, copied := t.TempDir()+"/nats", t.TempDir()+"/copy"
	options := &server.Options{Host: "127.0.0.1", Port: ports(t, 1)[0], NoSigs: true, NoLog: true, JetStream: true, StoreDir: folder}
	start := func() *server.Server {
		s, err := server.NewServer(options.Clone())
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			t.Fatal("the server does not start")
		}
		return s
	}
	nats := start()
	defer func() { nats.Shutdown(); nats.WaitForShutdown() }()
	c := settings
	c.URL, c.Create = nats.ClientURL(), true
	d, err := jetstream.New(c, "p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	read := func() []bus.Message {
		all, _ := verify.JetStream(t.Context(), c.URL, "CDC")
		return all
	}
	has := func(n int) {
		t.Helper()
		for range 400 {
			if len(read()) == n {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("the stream has %d messages, not %d", len(read()), n)
	}
	source := cdctest.NewSource("s")
	p := newPump(t, source, d)
	p.HoldBack = 2 * time.Second
	stop := running(t, p)
	n := workload(source)
	has(n)
	confirmed(t, source)
	if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	n += workload(source)
	has(n)
	nats.Shutdown()
	nats.WaitForShutdown()
	if err := errors.Join(os.RemoveAll(folder), os.Rename(copied, folder)); err != nil {
		t.Fatal(err)
	}
	nats = start()
	time.Sleep(2 * p.HoldBack)
	n += workload(source)
	has(n)
	if err := stop(); err != nil {
		t.Error(err)
	}
	check(t, target{d, true, func(*testing.T) []bus.Message { return read() }}, n)
}
