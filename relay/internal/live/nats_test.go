package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// TestMain runs a NATS server instead of the tests where that is asked for: one that can be
// killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CDC_TEST_NATS_DIR"); dir != "" {
		port, _ := strconv.Atoi(os.Getenv("CDC_TEST_NATS_PORT"))
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir})
		if err != nil {
			panic(err)
		}
		s.Start()
		s.WaitForShutdown()
		return
	}
	code := m.Run()
	if file, err := relayBinary(); err == nil {
		os.Remove(file)
	}
	os.Exit(code)
}

// embedded runs in the relay, and is killed with it.
type embedded struct{ dir, address string }

func (e *embedded) settings() string {
	return fmt.Sprintf("[nats]\nembedded = %q\nlisten = %q\nhold_back = \"1s\"\nin_flight_bytes = \"1MB\"\n", e.dir, e.address)
}

func (e *embedded) read(ctx context.Context) ([]bus.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return verify.JetStream(ctx, "nats://"+e.address, "CDC")
}

func (e *embedded) single() bool { return true }

// lonely has no second relay beside it.
type lonely struct{ *embedded }

func (lonely) alone() {}

func TestCrashesEmbedded(t *testing.T) {
	crashes(t, "relay_embedded", lonely{&embedded{t.TempDir(), freePort(t)}})
}

// fetching has the relay read by SQL, without the protocol of replication. A call of a relay that was killed has
// the slot until the server notices.
func fetching(name string) []string {
	return []string{"CDC_RELAY_POSTGRES_TRANSPORT=fetch",
		"CDC_RELAY_POSTGRES_CONN=dbname=" + name + " options='-c client_connection_check_interval=500ms'"}
}

// external is a server that is killed on its own.
type external struct {
	embedded
	cmd  *exec.Cmd
	link *link
	hold time.Duration
}

// newExternal is one that runs, behind a link. Within hold it can lose what it has.
func newExternal(t *testing.T, hold time.Duration) *external {
	t.Helper()
	e := &external{embedded: embedded{t.TempDir(), freePort(t)}, hold: hold}
	e.link = newLink(t, e.address)
	e.start(t)
	t.Cleanup(e.stop)
	return e
}

func (e *external) settings() string {
	address := e.address
	if e.link != nil {
		address = e.link.address()
	}
	return fmt.Sprintf("[nats]\nurl = \"nats://%s\"\ncreate = true\npartitions = 3\nhold_back = \"%v\"\n", address, e.hold)
}

func (e *external) start(t testing.TB) {
	t.Helper()
	_, port, _ := net.SplitHostPort(e.address)
	e.cmd = exec.Command(os.Args[0])
	e.cmd.Env = append(os.Environ(), "CDC_TEST_NATS_DIR="+e.dir, "CDC_TEST_NATS_PORT="+port)
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (e *external) stop() {
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
}

func (e *external) pid() int    { return e.cmd.Process.Pid }
func (e *external) line() *link { return e.link }

// loseTail takes the server back to an earlier state of its folder, which is what a loss of power does. It must
// not be older than what PostgreSQL has not heard of.
func (e *external) loseTail(s *trial) {
	copied, since := filepath.Join(s.t.TempDir(), "copy"), time.Now()
	_ = syscall.Kill(e.pid(), syscall.SIGSTOP)
	err := os.CopyFS(copied, os.DirFS(e.dir))
	_ = syscall.Kill(e.pid(), syscall.SIGCONT)
	if err != nil {
		s.t.Fatal(err)
	}
	defer os.RemoveAll(copied)
	s.sleep(100, 1500)
	e.stop()
	if time.Since(since) < e.hold-500*time.Millisecond {
		s.count["tails that were lost"]++
		if err := errors.Join(os.RemoveAll(e.dir), os.Rename(copied, e.dir)); err != nil {
			s.t.Fatal(err)
		}
	}
	e.start(s.t)
}

func TestCrashesOfNATS(t *testing.T) {
	crashes(t, "relay_nats", newExternal(t, 4*time.Second))
}

// By SQL two relays write at the same time.
func TestCrashesFetch(t *testing.T) {
	(&trial{name: "relay_fetch", b: newExternal(t, time.Second), env: fetching("relay_fetch"), rounds: max(1, *rounds/2)}).run(t)
}

// In a server of the test's own, which crashes, too.
func TestCrashesPostgreSQLToNATS(t *testing.T) {
	if testing.Short() {
		t.Skip("it is not for short runs")
	}
	(&trial{name: "relay_crash", b: newExternal(t, 4*time.Second), own: true}).run(t)
}

// A second relay stands by, and carries on when the first one is killed.
func TestStandby(t *testing.T) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	e := newExternal(t, time.Second)
	conn := database(t, "relay_standby")
	insert := func(relation string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), "CREATE TABLE "+relation+" (id int PRIMARY KEY); INSERT INTO "+relation+" VALUES (1)"); err != nil {
			t.Fatal(err)
		}
	}
	first, second := newRelay(t, "relay_standby", e), newRelay(t, "relay_standby", e)
	first.start()
	insert("one")
	waitFor(t.Context(), t, e, "public.one")
	second.start()
	time.Sleep(2 * time.Second)
	insert("two")
	waitFor(t.Context(), t, e, "public.two")
	first.kill()
	insert("three")
	waitFor(t.Context(), t, e, "public.three")
	second.stop()
	all, err := e.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.Once(all, true); err != nil {
		t.Error(err)
	}
}
