package pump

import (
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/jetstream"
)

// From the server inside of the relay to another one: the same slot goes on there, from what PostgreSQL has heard of. What was held
// back is in both logs, at the same positions, and nothing is in neither.
func TestMovesToAnotherServer(t *testing.T) {
	for name, hold := range map[string]time.Duration{"held": time.Hour, "told": 0} {
		t.Run(name, func(t *testing.T) {
			old, other := onJetStream(t), onJetStream(t)
			source := cdctest.NewSource("s")
			n := workload(source)
			p := newPump(t, source, old.driver)
			p.HoldBack = hold
			stop := running(t, p)
			for range 200 {
				all, err := verify.JetStream(t.Context(), old.driver.(*jetstream.Driver).URL(), "CDC")
				if err == nil && len(all) == n {
					break
				}
				time.Sleep(25 * time.Millisecond)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if status, _ := source.Status(); hold == 0 {
				source.SetServer(func(s *cdc.Server) { s.ConfirmedFlush = status.Flushed })
			}
			n += workload(source)
			c := settings
			c.URL, c.Create = other.driver.(*jetstream.Driver).URL(), true
			there, err := jetstream.New(c, "p", "s", logger(t))
			if err != nil {
				t.Fatal(err)
			}
			carried(t, source, newPump(t, source, there))
			before, after := old.read(t), other.read(t)
			if err := verify.Once(after, true); err != nil {
				t.Error(err)
			}
			all := map[string]bool{}
			for _, m := range append(before, after...) {
				all[m.Get(bus.Position)+" "+m.Get(bus.Copy)] = true
			}
			if len(all) != n {
				t.Errorf("the logs have %d messages together, not %d", len(all), n)
			}
			if both := len(before) + len(after) - n; hold == 0 && both != 0 || hold > 0 && both == 0 {
				t.Errorf("%d are in both", both)
			}
		})
	}
}
