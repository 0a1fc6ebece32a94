package change

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
)

// wideBatch is a batch of the server's usual size: rows of ten mixed columns.
func wideBatch(t testing.TB, events int) (raw []byte, schemas *schema.Cache) {
	table := &cdcv1.Table{Schema: "public", Name: "wide", ReplicaIdentity: schema.IdentityDefault, Columns: []*cdcv1.Column{
		{Number: 1, Name: "id", Type: value.TypeInt64, PgType: "pg_catalog.int8", Key: true},
		{Number: 2, Name: "a", Type: value.TypeInt32, PgType: "pg_catalog.int4"},
		{Number: 3, Name: "b", Type: value.TypeText, PgType: "pg_catalog.text"},
		{Number: 4, Name: "c", Type: value.TypeNumeric, PgType: "pg_catalog.numeric"},
		{Number: 5, Name: "d", Type: value.TypeTimestampTZ, PgType: "pg_catalog.timestamptz"},
		{Number: 6, Name: "e", Type: value.TypeBool, PgType: "pg_catalog.bool"},
		{Number: 7, Name: "f", Type: value.TypeDouble, PgType: "pg_catalog.float8"},
		{Number: 8, Name: "g", Type: value.TypeUUID, PgType: "pg_catalog.uuid"},
		{Number: 9, Name: "h", Type: value.TypeText, PgType: "pg_catalog.text"},
		{Number: 10, Name: "i", Type: value.TypeDate, PgType: "pg_catalog.date"},
	}}
	bytesOf, err := proto.MarshalOptions{Deterministic: true}.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	f := uint64(schema.FingerprintOf(bytesOf))
	row := tuple.Row{0x10, 84, 0x1A, 12}
	row = append(row, "text of some"...)
	row = append(append(row, 0x22, 6), "123.45"...)
	row = append(row, 0x29, 1, 2, 3, 4, 5, 6, 0, 0, 0x30, 1, 0x39, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F)
	row = append(append(row, 0x42, 16), "0123456789abcdef"...)
	row = append(append(row, 0x4A, 20), "and another text ..."...)
	row = append(row, 0x50, 0xA0, 0x8D, 0x06)
	b := &cdcv1.Batch{
		Transaction: &cdcv1.Transaction{Xid: 7, FirstLsn: 1 << 30, CommitLsn: 1<<30 + 1<<20, CommitTime: 1},
		Outcome:     OutcomeCommitted, EndLsn: 1<<30 + 1<<20 + 48, EventCount: uint64(events),
		Schemas: []*cdcv1.SchemaVersion{{Fingerprint: f, Table: bytesOf}},
	}
	for i := range events {
		b.Events = append(b.Events, &cdcv1.ChangeEvent{Op: OpInsert, LsnOffset: uint64(i * 180), Schema: f,
			Key: []byte{0x08, byte(i&0x3F) << 1}, New: row})
	}
	if raw, err = proto.Marshal(b); err != nil {
		t.Fatal(err)
	}
	return raw, schema.NewCache(schema.Limits{})
}

// walk does what a consumer does that looks at every value.
func walk(t testing.TB, b *Batch, raw []byte, schemas *schema.Cache) (values int) {
	if err := b.Parse(raw, schemas); err != nil {
		t.Fatal(err)
	}
	events := b.Events()
	for events.Next() {
		e := events.Event()
		table := e.Table()
		if e.Position().Index != 0 || table == nil {
			t.Fatal("event")
		}
		for _, row := range [...]tuple.Row{e.Key, e.New} {
			c := row.Values()
			for c.Next() {
				if table.Column(c.Value().Number) == nil {
					t.Fatal("column")
				}
				values++
			}
			if c.Err() != nil {
				t.Fatal(c.Err())
			}
		}
	}
	if events.Err() != nil {
		t.Fatal(events.Err())
	}
	return values
}

// No allocation for an event, none for a value, none for a batch.
// poolAllocs is what a run allocates, on average. Under the race detector a sync.Pool loses what
// it keeps now and then, on purpose: there it is the fewest of some runs.
func poolAllocs(f func()) float64 {
	if !raceDetector {
		return testing.AllocsPerRun(50, f)
	}
	fewest := testing.AllocsPerRun(1, f)
	for range 30 {
		fewest = min(fewest, testing.AllocsPerRun(1, f))
	}
	return fewest
}

func TestAllocations(t *testing.T) {
	raw, schemas := wideBatch(t, 500)
	var b Batch
	if n := walk(t, &b, raw, schemas); n != 5000 {
		t.Fatalf("%d values", n)
	}
	if n := testing.AllocsPerRun(50, func() { walk(t, &b, raw, schemas) }); n != 0 {
		t.Errorf("%v allocations for 500 events", n)
	}
	for codec := range compressors {
		packed := compress(t, codec, raw)
		walk(t, &b, packed, schemas)
		if n := poolAllocs(func() { walk(t, &b, packed, schemas) }); n != 0 {
			t.Errorf("%v allocations for 500 events compressed by codec %d", n, codec)
		}
	}
	walk(t, &b, raw, schemas)
	var w JSONWriter
	out, err := w.AppendBatch(nil, &b)
	if err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(20, func() {
		if out, err = w.AppendBatch(out[:0], &b); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for the JSON of 500 events", n)
	}
	row := append(tuple.Row{0x08, 2}, 0x1A, 1, 'x')
	dst := make(tuple.Row, 0, 100)
	if n := testing.AllocsPerRun(50, func() {
		if _, err := tuple.Overlay(dst[:0], row, row[2:], nil); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for an overlay", n)
	}
}

func BenchmarkEvents(b *testing.B) {
	raw, schemas := wideBatch(b, 500)
	var batch Batch
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		walk(b, &batch, raw, schemas)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/event")
}

func BenchmarkJSON(b *testing.B) {
	raw, schemas := wideBatch(b, 500)
	var batch Batch
	var w JSONWriter
	var out []byte
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := batch.Parse(raw, schemas); err != nil {
			b.Fatal(err)
		}
		var err error
		if out, err = w.AppendBatch(out[:0], &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/event")
}

// What a generic decoder costs for the same bytes.
func BenchmarkProtoUnmarshal(b *testing.B) {
	raw, _ := wideBatch(b, 500)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		var m cdcv1.Batch
		if err := proto.Unmarshal(raw, &m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/event")
}
