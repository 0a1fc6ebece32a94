package load

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

func at(key string, sequence uint64) Place { return Place{From: &key, Sequence: sequence} }

// What a bus has lost is read again: from the last place that it has, or from the beginning, also of tables that were loaded.
func TestLost(t *testing.T) {
	p := &Progress{}
	a := p.add(&cdc.FoundTable{OID: 1, Relation: "a"}, 0)
	for i := range uint64(100) {
		a.moved(at(fmt.Sprint(i), 10*(i+1)))
	}
	if len(a.Earlier) > maxEarlier {
		t.Errorf("%d places are kept", len(a.Earlier))
	}
	a.Topic, a.Read = "t", true
	b := p.add(&cdc.FoundTable{OID: 2, Relation: "b"}, 0)
	b.moved(at("x", 2000))
	b.end(time.Now())
	if p.lost(2000) || !a.Read {
		t.Error("nothing was lost")
	}
	if !p.lost(995) || b.Ended != nil || b.At.From != nil {
		t.Errorf("of b all was lost: %+v", b)
	}
	if a.Read || a.At.Sequence > 995 || a.At.Sequence < 500 || a.Topic != "t" {
		t.Errorf("a goes on at %+v", a.At)
	}
	if !p.lost(5) || a.At.From != nil || a.Topic != "" {
		t.Errorf("a begins anew: %+v", a)
	}
}

// A table that is asked for while it waits is loaded once; one that was begun, again and as another load.
func TestAdd(t *testing.T) {
	p := &Progress{}
	found := &cdc.FoundTable{OID: 1, Relation: "a", Rows: 7}
	first := p.add(found, 0).Load
	if again := p.add(found, 5); again.Load != first || again.After != 5 || len(p.Tables) != 1 {
		t.Errorf("%+v", p.Tables)
	}
	p.Tables[0].Topic = "t"
	if again := p.add(found, 0); again.Load == first || len(p.Tables) != 1 || again.Topic != "" {
		t.Errorf("%+v", again)
	}
	p.Tables[0].end(time.Now().Add(-2 * remember))
	if p.table("a") != nil {
		t.Error("it was loaded")
	}
	p.add(found, 0)
	p.forget(time.Now())
	if len(p.Tables) != 1 || p.Tables[0].Ended != nil {
		t.Errorf("%+v", p.Tables)
	}
}

func TestEncode(t *testing.T) {
	for _, n := range []int{0, 1, 5000} {
		p := &Progress{Version: 1, Initial: true}
		for i := range n {
			p.add(&cdc.FoundTable{OID: uint32(i), Relation: fmt.Sprintf("public.table_%d", i)}, 0)
		}
		data, err := p.Encode()
		if err != nil || len(data) > 200000 {
			t.Fatalf("%d tables take %d bytes: %v", n, len(data), err)
		}
		back, err := ParseProgress(data)
		if err != nil || len(back.Tables) != n || back.Loads != uint64(n) || !back.Initial {
			t.Errorf("%d tables: %+v, %v", n, back, err)
		}
	}
	if _, err := ParseProgress([]byte(`{"version":2}`)); err == nil {
		t.Error("a newer version is read")
	}
}

// A snapshot is good when it sees all that was sent; and what was in progress when the session began, for a while.
func TestVisibility(t *testing.T) {
	var v visibility
	v.sent(100)
	v.sent(0)
	v.sent(102)
	if v.by(&cdc.Snapshot{XMin: 100, XMax: 103, XIP: []uint64{100, 101}}) {
		t.Error("it does not see 100")
	}
	if v.by(&cdc.Snapshot{XMin: 101, XMax: 103, XIP: []uint64{101}}) {
		t.Error("101 was in progress at the start")
	}
	if !v.by(&cdc.Snapshot{XMin: 102, XMax: 103}) {
		t.Error("it sees all")
	}
	v.sent(104)
	if v.by(&cdc.Snapshot{XMin: 102, XMax: 104}) || !v.by(&cdc.Snapshot{XMin: 102, XMax: 106, XIP: []uint64{105}}) {
		t.Error("104 counts, and 105 does not")
	}
	v = visibility{}
	v.by(&cdc.Snapshot{XMin: 5, XMax: 9, XIP: []uint64{5}})
	v.until = time.Now()
	if !v.by(&cdc.Snapshot{XMin: 5, XMax: 9, XIP: []uint64{5}}) {
		t.Error("one that goes on is waited for without end")
	}
	for i := range uint32(3 * maxRecent) {
		v.sent(i + 1)
	}
	if len(v.recent) > maxRecent {
		t.Errorf("%d are remembered", len(v.recent))
	}
}
