package pump

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/jetstream"
)

// once carries what a source has into a folder's stream, with the server started and stopped, and
// gives the number of messages there.
func once(t *testing.T, folder string, hold time.Duration, source *cdctest.Source, want int) (int, error) {
	t.Helper()
	c := settings
	c.Embedded = folder
	d, err := jetstream.New(c, "p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	broken := &failing{Driver: d}
	broken.after.Store(5)
	p := newPump(t, source, broken)
	p.HoldBack = hold
	stop := running(t, p)
	count := 0
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		if s := p.Status(); s.State == "stopped" {
			break
		}
		if all, err := verify.JetStream(t.Context(), d.URL(), "CDC"); err == nil {
			if count = len(all); count >= want {
				if err := verify.Once(all, true); err != nil {
					t.Error(err)
				}
				break
			}
		}
	}
	return count, stop()
}

// A server loses its tail with its power, also of the checkpoint. What PostgreSQL has not
// heard of is sent again; without hold_back the start is refused.
func TestTailIsLost(t *testing.T) {
	for name, hold := range map[string]time.Duration{"held": time.Hour, "told": 0} {
		t.Run(name, func(t *testing.T) {
			source := cdctest.NewSource("s")
			folder, copied := t.TempDir(), t.TempDir()+"/copy"
			n := workload(source)
			if got, err := once(t, folder, hold, source, n); got != n || err != nil {
				t.Fatalf("%d messages, not %d, %v", got, n, err)
			}
			if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
				t.Fatal(err)
			}
			n += workload(source)
			if got, err := once(t, folder, hold, source, n); got != n || err != nil {
				t.Fatalf("%d messages, not %d, %v", got, n, err)
			}
			got, err := once(t, copied, hold, source, n)
			var refused *cdc.RefusedError
			switch {
			case hold > 0 && (got != n || err != nil):
				t.Errorf("%d messages, not %d, %v", got, n, err)
			case hold == 0 && !errors.As(err, &refused):
				t.Errorf("%d messages, the error is %v", got, err)
			}
		})
	}
}

// Retention has emptied the stream: the copy of the checkpoint knows where it was.
func TestStreamIsEmptied(t *testing.T) {
	to := onJetStream(t)
	source := cdctest.NewSource("s")
	workload(source)
	carried(t, source, newPump(t, source, to.driver))
	stream, err := connect(t, to.driver.(*jetstream.Driver).URL()).Stream(t.Context(), "CDC")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := workload(source)
	carried(t, source, newPump(t, source, to.driver))
	check(t, to, n)
}

// The last message was removed, and the copy of the checkpoint too: that message is sent again.
func TestLastMessageIsRemoved(t *testing.T) {
	to := onJetStream(t)
	source := cdctest.NewSource("s")
	n := workload(source)
	carried(t, source, newPump(t, source, to.driver))
	url := to.driver.(*jetstream.Driver).URL()
	stream, err := connect(t, url).Stream(t.Context(), "CDC")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), uint64(n)); err != nil {
		t.Fatal(err)
	}
	removeCheckpoint(t, url)
	source.SetServer(func(s *cdc.Server) { s.ConfirmedFlush = 0x1000 })
	stop := running(t, newPump(t, source, to.driver))
	for range 100 {
		if len(to.read(t)) == n {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	check(t, to, n)
}
