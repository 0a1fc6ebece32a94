package pump

import (
	"testing"

	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// Each transaction has one beginning and one end that counts right, wherever sessions end: behind the beginning,
// within the transaction, and before its end. Some are larger than a Kafka transaction.
func TestMarkers(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		source := cdctest.NewSource("s")
		broken := &failing{Driver: to.driver}
		p := newPump(t, source, broken)
		p.Plan.Markers = true
		stop := running(t, p)
		n := 0
		for _, after := range []int64{1, 2, 3, 5, 60, 104} {
			broken.after.Store(after)
			n += workload(source) + 2*21
			confirmed(t, source)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		check(t, to, n)
		if err := verify.Markers(renamed(to.read(t))); err != nil {
			t.Error(err)
		}
	})
}

// renamed takes partitions off the subjects of NATS.
func renamed(all []bus.Message) []bus.Message {
	for i := range all {
		if m := &all[i]; len(m.Topic) > 3 && m.Topic[len(m.Topic)-3:len(m.Topic)-1] == ".p" {
			m.Topic = m.Topic[:len(m.Topic)-3]
		}
	}
	return all
}

// On JetStream a session can end between the last row and the end of its transaction, or behind its beginning: what is missing
// is sent, and nothing twice.
func TestMarkersOneByOne(t *testing.T) {
	for _, kept := range []int{1, 2, 3, 4} { // BEGIN, row, row, END
		to := onJetStream(t)
		source := cdctest.NewSource("s")
		source.Insert("public", "t", "a", "b")
		cut := &cutting{Driver: to.driver}
		cut.left.Store(int64(kept))
		p := newPump(t, source, cut)
		p.Plan.Markers = true
		carried(t, source, p)
		check(t, to, 4)
		if err := verify.Markers(renamed(to.read(t))); err != nil {
			t.Errorf("cut behind %d: %v", kept, err)
		}
		if all := to.read(t); all[0].Get(bus.Op) != bus.Begins || all[3].Get(bus.Op) != bus.Ends || all[3].Get(bus.End) != "2" || all[2].Get(bus.End) != "" {
			t.Errorf("cut behind %d: %+v", kept, all)
		}
	}
}
