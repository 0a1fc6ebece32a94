// Package live has the tests that need a PostgreSQL server: libpq's environment names it.
package live

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

var (
	rounds = flag.Int("rounds", 2, "how often the relay is killed")
	pace   = flag.Duration("pace", 250*time.Millisecond, "how long a transaction waits for the one before it, at most")
)

// broker is a bus under test.
type broker interface {
	// settings for the relay.
	settings() string
	read(ctx context.Context) ([]bus.Message, error)
	// disturb does something bad to it.
	disturb(t *testing.T)
	single() bool
}

var relayBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cdc-relay-test")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "cdc-relay")
	out, err := exec.Command("go", "build", "-o", file, "github.com/pgcdc/cdc/relay/cmd/cdc-relay").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return file, err
})

// relay is a process of it.
type relay struct {
	t      *testing.T
	config string
	log    *os.File
	cmd    *exec.Cmd
	env    []string
}

// newRelay writes the settings down.
func newRelay(t *testing.T, name string, b broker) *relay {
	t.Helper()
	dir := t.TempDir()
	r := &relay{t: t, config: filepath.Join(dir, "relay.toml")}
	content := fmt.Sprintf("[postgres]\nconn = \"dbname=%s\"\nslot = \"%[1]s\"\n[postgres.options]\nold = \"full\"\nmessages = \"*\"\n[admin]\nlisten = \"\"\n%s",
		name, b.settings())
	if err := os.WriteFile(r.config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			content, _ := os.ReadFile(r.log.Name())
			t.Logf("the relay's log:\n%s", content[max(0, len(content)-8000):])
		}
	})
	return r
}

func (r *relay) start() {
	r.t.Helper()
	file, err := relayBinary()
	if err != nil {
		r.t.Fatal(err)
	}
	r.cmd = exec.Command(file, "run", "--config", r.config)
	r.cmd.Stderr = r.log
	r.cmd.Env = append(os.Environ(), r.env...)
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// kill ends it with SIGKILL.
func (r *relay) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// stop ends it as a service manager does.
func (r *relay) stop() {
	r.t.Helper()
	_ = r.cmd.Process.Signal(os.Interrupt)
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("the relay ends with %v", err)
	}
	r.cmd = nil
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// crashes has the relay killed at random while tables change, and compares at the end.
func crashes(t *testing.T, name string, b broker, env ...string) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	conn := database(t, name)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	var workers sync.WaitGroup
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var committed atomic.Int64
	for i := range 3 {
		workers.Go(func() { work(working, t, name, seed+uint64(i), &committed) })
	}
	r := newRelay(t, name, b)
	r.env = env
	random := rand.New(rand.NewPCG(seed, 2))
	for range *rounds {
		r.start()
		time.Sleep(time.Duration(300+random.IntN(1500)) * time.Millisecond)
		b.disturb(t)
		r.kill()
	}
	for committed.Load() < 10 && ctx.Err() == nil { // on a busy machine
		time.Sleep(50 * time.Millisecond)
	}
	stopWork()
	workers.Wait()
	if _, err := conn.Exec(ctx, "INSERT INTO marker VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	r.start()
	waitFor(ctx, t, b, "public.marker")
	all, err := b.read(ctx) // again: topics are read one after the other
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	if err := verify.Once(all, b.single()); err != nil {
		t.Fatal(err)
	}
	got, err := verify.Rebuild(all)
	if err != nil {
		t.Fatal(err)
	}
	if d := verify.Differences(got, source(t, conn)); d != "" {
		t.Fatal(d)
	}
	var lsn string
	if err := conn.QueryRow(ctx, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", name).Scan(&lsn); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d transactions, %d messages, each once; the tables are the same; the slot is at %s", committed.Load(), len(all), lsn)
}

// waitFor reads the log until it has a row of a relation.
func waitFor(ctx context.Context, t *testing.T, b broker, relation string) {
	t.Helper()
	var last error
	for {
		all, err := b.read(ctx)
		if err == nil {
			for i := range all {
				if strings.HasPrefix(all[i].Get(bus.Relation), relation) {
					return
				}
			}
		}
		if err != nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the log does not come to its end: %d messages, %v", len(all), last)
		case <-time.After(time.Second):
		}
	}
}
