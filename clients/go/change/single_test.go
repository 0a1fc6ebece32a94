package change

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/value"
)

const goldenCuts = "../../../test/golden/cuts"

// cutAll cuts every event of a file, as the batches of one connection.
func cutAll(t *testing.T, name string) (cuts []byte) {
	t.Helper()
	r := NewFileReader(bytes.NewReader(readFile(t, name)), schema.Limits{})
	schemas := schema.NewCache(schema.Limits{})
	var source []byte
	var known versions
	var b Batch
	for {
		raw, err := r.Next()
		if err != nil {
			return cuts
		}
		if err := b.Parse(raw, schemas); err != nil {
			t.Fatal(err)
		}
		if b.source != nil {
			source = bytes.Clone(b.source)
		}
		known = known.with(b.announced)
		b.versions = known
		c := b.Events()
		for c.Next() {
			piece, err := c.Event().AppendSingle(nil, source)
			if err != nil {
				t.Fatal(err)
			}
			cuts = AppendFrame(cuts, piece)
		}
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
	}
}

// Cuts are the same bytes in all clients: test/golden/cuts/NAME.pb has those of
// test/golden/NAME.pb, or of cuts/NAME.in. CDC_UPDATE_GOLDEN=1 writes them anew.
func TestGoldenCuts(t *testing.T) {
	update := os.Getenv("CDC_UPDATE_GOLDEN") != ""
	if update {
		if err := os.WriteFile(goldenCuts+"/versions.in", versionsInput(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	inputs, _ := filepath.Glob(goldenCuts + "/*.in")
	if len(inputs) == 0 {
		t.Fatal("no inputs")
	}
	for _, name := range goldenFiles(t) {
		inputs = append(inputs, name+".pb")
	}
	for _, input := range inputs {
		got := cutAll(t, input)
		base := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(input), ".in"), ".pb")
		output := filepath.Join(goldenCuts, base+".pb")
		if update {
			if err := os.WriteFile(output, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, readFile(t, output)) {
			t.Errorf("cuts of %s differ from %s (written by CDC_UPDATE_GOLDEN=1 go test -run TestGoldenCuts .)", input, output)
		}
	}
}

// versionsInput has what cuts must keep, and files of a server hardly have: versions
// that change, batches without a source, a snapshot, messages, metadata.
func versionsInput(t *testing.T) (file []byte) {
	table, err := proto.Marshal(&cdcv1.Table{Schema: "public", Name: "t", ReplicaIdentity: schema.IdentityDefault,
		Columns: []*cdcv1.Column{{Number: 1, Name: "id", Type: value.TypeText, PgType: "pg_catalog.text", Key: true}}})
	if err != nil {
		t.Fatal(err)
	}
	f := uint64(schema.FingerprintOf(table))
	schema := func(version uint32, unmapped string) []*cdcv1.SchemaVersion {
		return []*cdcv1.SchemaVersion{{Fingerprint: f, Table: table, Version: version, Unmapped: unmapped}}
	}
	insert := func(offset uint64, key string) *cdcv1.ChangeEvent {
		return &cdcv1.ChangeEvent{Op: OpInsert, LsnOffset: offset, Schema: f, Key: append([]byte{0x0a, byte(len(key))}, key...)}
	}
	transaction := func(xid uint32, metadata map[string]string) *cdcv1.Transaction {
		return &cdcv1.Transaction{Xid: xid, FirstLsn: uint64(xid) << 8, CommitLsn: uint64(xid)<<8 + 0x80, CommitTime: 1700000000000000, Metadata: metadata}
	}
	source := &cdcv1.Source{SystemIdentifier: 1, Timeline: 1, Database: "d", Slot: "s", PluginVersion: "1.0", ServerVersion: 150020}
	for _, b := range []*cdcv1.Batch{
		{Transaction: transaction(700, nil), Outcome: OutcomeCommitted, EndLsn: 700<<8 + 0xA0, EventCount: 2, Source: source,
			Schemas: schema(3, ""), Events: []*cdcv1.ChangeEvent{insert(0, "a"), insert(16, "b")}},
		{Transaction: transaction(701, map[string]string{"user": "é"}), Outcome: OutcomeOpen, Events: []*cdcv1.ChangeEvent{insert(0, "c")}},
		{Transaction: transaction(701, map[string]string{"user": "é", "z": ""}), Part: 1, Outcome: OutcomeCommitted, EndLsn: 701<<8 + 0xA0, EventCount: 2,
			Schemas: schema(4, "column total is gone"), Events: []*cdcv1.ChangeEvent{insert(8, "d")}},
		{Transaction: transaction(702, nil), Outcome: OutcomeCommitted, EndLsn: 702<<8 + 0xA0, EventCount: 1, Events: []*cdcv1.ChangeEvent{insert(0, "e")}},
		{EndLsn: 703 << 8, Events: []*cdcv1.ChangeEvent{{Op: OpMessage, LsnOffset: 703<<8 - 0x40,
			Message: &cdcv1.Message{Prefix: "p", Content: []byte{0, 1}}}}},
		{Snapshot: &cdcv1.Snapshot{Xmin: 1, Xmax: 5, Xip: []uint64{2, 3}}, Schemas: schema(0, ""),
			Events: []*cdcv1.ChangeEvent{{Op: OpRead, Schema: f, Key: []byte{0x0a, 1, 'r'}}}},
	} {
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		file = AppendFrame(file, raw)
	}
	return file
}

// What is cut has the version of its row, and why it is in no other.
func TestCutKeepsVersions(t *testing.T) {
	r := NewFileReader(bytes.NewReader(readFile(t, goldenCuts+"/versions.pb")), schema.Limits{})
	var got []schema.Version
	for {
		raw, err := r.Next()
		if err != nil {
			break
		}
		b, err := ParseBatch(raw, schema.NewCache(schema.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		for c := b.Events(); c.Next(); {
			got = append(got, c.Event().Version())
		}
	}
	gone := schema.Version{Major: 4, Unmapped: "column total is gone"}
	want := []schema.Version{{Major: 3}, {Major: 3}, {Major: 3}, gone, gone, {}, {}}
	for i, v := range want {
		if len(got) != len(want) || got[i] != v {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

func TestCutAllocatesNothing(t *testing.T) {
	raw, schemas := wideBatch(t, 5)
	var b Batch
	if err := b.Parse(raw, schemas); err != nil {
		t.Fatal(err)
	}
	b.versions = versions{}
	for c := b.Events(); c.Next(); {
		b.versions[c.Event().Fingerprint] = schema.Version{Major: 7, Unmapped: "why not"}
	}
	source, dst := []byte{0x10, 1}, make([]byte, 0, 2*len(raw)+1000)
	if n := testing.AllocsPerRun(50, func() {
		for c := b.Events(); c.Next(); {
			if _, err := c.Event().AppendSingle(dst, source); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for cuts of 5 events", n)
	}
}

func TestCut(t *testing.T) {
	for _, name := range goldenFiles(t) {
		r := NewFileReader(bytes.NewReader(readFile(t, name+".pb")), schema.Limits{})
		schemas := schema.NewCache(schema.Limits{})
		var source []byte
		var b Batch
		for {
			raw, err := r.Next()
			if err != nil {
				break
			}
			if err := b.Parse(raw, schemas); err != nil {
				t.Fatal(err)
			}
			if b.source != nil {
				source = bytes.Clone(b.source)
			}
			var w JSONWriter
			for c := b.Events(); c.Next(); {
				want, err := w.AppendEvent(nil, c.Event())
				if err != nil {
					t.Fatal(err)
				}
				piece, err := c.Event().AppendSingle(nil, source)
				if err != nil {
					t.Fatal(err)
				}
				alone, err := ParseBatch(piece, schema.NewCache(schema.Limits{}))
				if err != nil {
					t.Fatal(err)
				}
				got, err := alone.AppendJSON(nil)
				if err != nil || !bytes.Equal(bytes.TrimRight(got, "\n"), want) {
					t.Fatalf("%s: %s, %v; want %s", name, got, err, want)
				}
			}
		}
	}
}

// What a cut looks at does not grow with the number of events: all cuts of a batch would take
// the square of it.
func TestCutPassesOverOtherEvents(t *testing.T) {
	looked := func(events int) int {
		raw, schemas := wideBatch(t, events)
		b, err := ParseBatch(raw, schemas)
		if err != nil {
			t.Fatal(err)
		}
		return len(b.outside[0]) + len(b.outside[1])
	}
	if few, many := looked(130), looked(500); few != many {
		t.Errorf("a cut of 100 events looks at %d bytes, of 110 at %d", few, many)
	}
}

// Events need not stand together.
func TestCutOfEventsApart(t *testing.T) {
	raw, schemas := wideBatch(t, 2)
	whole, err := ParseBatch(raw, schemas)
	if err != nil {
		t.Fatal(err)
	}
	source := []byte{0x10, 1}
	one := wire.Over(whole.events)
	one.Next()
	size := len(one.Field.Raw)
	apart := append(wire.AppendLen(bytes.Clone(whole.events[:size]), batchSource, source), whole.events[size:]...)
	b, err := ParseBatch(append(append(bytes.Clone(whole.outside[0]), apart...), whole.outside[1]...), schemas)
	if err != nil {
		t.Fatal(err)
	}
	want, got := whole.Events(), b.Events()
	for want.Next() && got.Next() {
		a, err1 := want.Event().AppendSingle(nil, source)
		c, err2 := got.Event().AppendSingle(nil, nil)
		alone, err3 := ParseBatch(c, schemas)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if len(a) != len(c) || !bytes.Equal(alone.source, source) || alone.Len() != 1 {
			t.Errorf("%x is cut from events apart, %x from events together", c, a)
		}
	}
	if got.Next() || want.Next() || b.Len() != 2 {
		t.Error("not all events were cut")
	}
}

func BenchmarkCut(b *testing.B) {
	raw, schemas := wideBatch(b, 500)
	batch, err := ParseBatch(raw, schemas)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		for c := batch.Events(); c.Next(); {
			if dst, err = c.Event().AppendSingle(dst[:0], nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/event")
}
