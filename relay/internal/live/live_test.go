// Package live has the tests that need a PostgreSQL server: libpq's environment names it.
package live

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgcdc/cdc/relay/bus"
)

var (
	rounds = flag.Int("rounds", 2, "how many faults there are")
	seed   = flag.Uint64("seed", 0, "of what happens by chance; 0: another one each time")
	pace   = flag.Duration("pace", 250*time.Millisecond, "how long a transaction waits for the one before it, at most")
)

// broker is a bus under test.
type broker interface {
	// settings for the relay.
	settings() string
	read(ctx context.Context) ([]bus.Message, error)
	// single: all is in one order.
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
	done   chan struct{} // is closed when the process has ended
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
	cmd, done := exec.Command(file, "run", "--config", r.config), make(chan struct{})
	cmd.Stderr = r.log
	cmd.Env = append(os.Environ(), r.env...)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(done) }()
	r.cmd, r.done = cmd, done
}

// beside is another one with the same settings.
func (r *relay) beside() *relay {
	other := &relay{t: r.t, config: r.config, log: r.log, env: r.env}
	r.t.Cleanup(other.kill)
	return other
}

// kill ends it with SIGKILL.
func (r *relay) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		<-r.done
		r.cmd = nil
	}
}

// stop ends it as a service manager does.
func (r *relay) stop() {
	r.t.Helper()
	_ = r.cmd.Process.Signal(os.Interrupt)
	if code := r.ends(time.Minute); code != 0 {
		r.t.Errorf("the relay ends with %d", code)
	}
}

// ends waits until it has ended by itself, and gives its exit status.
func (r *relay) ends(limit time.Duration) int {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(limit):
		r.t.Fatal("the relay does not end")
	}
	code := r.cmd.ProcessState.ExitCode()
	r.cmd = nil
	return code
}

// ended tells whether it has given up.
func (r *relay) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
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
