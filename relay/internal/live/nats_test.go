package live

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
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

func (e *embedded) disturb(*testing.T) {}
func (e *embedded) single() bool       { return true }

func TestCrashesEmbedded(t *testing.T) {
	crashes(t, "relay_embedded", &embedded{t.TempDir(), freePort(t)})
}

// By SQL, without the protocol of replication. A call of a relay that was killed has the slot
// until the server notices.
func TestCrashesFetch(t *testing.T) {
	before := *rounds
	*rounds = min(before, 1)
	defer func() { *rounds = before }()
	crashes(t, "relay_fetch", &embedded{t.TempDir(), freePort(t)}, "CDC_RELAY_POSTGRES_TRANSPORT=fetch",
		"CDC_RELAY_POSTGRES_CONN=dbname=relay_fetch options='-c client_connection_check_interval=500ms'")
}

// external is a server that is killed on its own.
type external struct {
	embedded
	cmd *exec.Cmd
}

func (e *external) settings() string {
	return fmt.Sprintf("[nats]\nurl = \"nats://%s\"\ncreate = true\npartitions = 3\nhold_back = \"1s\"\n", e.address)
}

func (e *external) start(t *testing.T) {
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

// disturb kills the server, and lets the relay meet it again for a while.
func (e *external) disturb(t *testing.T) {
	e.stop()
	time.Sleep(200 * time.Millisecond)
	e.start(t)
	time.Sleep(1500 * time.Millisecond)
}

func TestCrashesOfNATS(t *testing.T) {
	e := &external{embedded: embedded{t.TempDir(), freePort(t)}}
	e.start(t)
	defer e.stop()
	crashes(t, "relay_nats", e)
}

// A second relay stands by, and carries on when the first one is killed.
func TestStandby(t *testing.T) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	e := &external{embedded: embedded{t.TempDir(), freePort(t)}}
	e.start(t)
	defer e.stop()
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
