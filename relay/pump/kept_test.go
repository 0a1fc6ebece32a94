package pump

import (
	"testing"

	"github.com/pgcdc/cdc/relay/bus"
)

// What is kept of loads is there for the next session, and whoever was fenced keeps nothing any more.
func TestKept(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		open := func() bus.Bus {
			b, err := to.driver.Open(t.Context(), bus.Events{Failed: func(error) {}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			if _, err := b.Claim(t.Context()); err != nil {
				t.Fatal(err)
			}
			return b
		}
		first := open()
		message := bus.Message{Topic: "p.t", Headers: []bus.Header{{Name: bus.Position, Value: "0/1/0/1/0"}, {Name: bus.Op, Value: bus.Read},
			{Name: bus.Confirm, Value: "0/1"}, {Name: bus.SourceName, Value: "1/1/d/s"}}, Value: []byte("x")}
		for i, want := range []string{"", "one", "two"} {
			b := first
			if i > 0 {
				b = open()
			}
			got, err := b.Kept(t.Context())
			if err != nil || string(got) != want {
				t.Fatalf("%q is kept, not %q: %v", got, want, err)
			}
			if i == 2 {
				break
			}
			if _, err := b.Partitions(t.Context(), "p.t"); err != nil {
				t.Fatal(err)
			}
			if err := b.Send(t.Context(), []bus.Message{message}); err != nil {
				t.Fatal(err)
			}
			if err := b.Keep(t.Context(), []byte([]string{"one", "two"}[i])); err != nil {
				t.Fatal(err)
			}
			if err := b.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if state, err := b.Load(t.Context()); err != nil || state.Mark == nil || !state.Mark.Whole {
				t.Errorf("the mark is %+v: %v", state.Mark, err)
			}
		}
		err := first.Keep(t.Context(), []byte("late"))
		if err == nil {
			err = first.Flush(t.Context())
		}
		if err == nil {
			t.Error("one that was fenced keeps something")
		}
		if got, err := open().Kept(t.Context()); err != nil || string(got) != "two" {
			t.Errorf("%q is kept: %v", got, err)
		}
	})
}
