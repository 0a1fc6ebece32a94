package change

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
)

// seeds adds every batch of the golden files.
func seeds(f *testing.F) {
	for _, name := range goldenFiles(f) {
		pb := readFile(f, name+".pb")
		if len(pb) > 10000 {
			continue
		}
		r := NewFileReader(bytes.NewReader(pb), schema.Limits{})
		for {
			raw, err := r.Next()
			if err != nil {
				break
			}
			f.Add(bytes.Clone(raw))
			for codec := range compressors {
				f.Add(compress(f, codec, raw))
			}
		}
	}
}

// All that can be done with bytes: an error that says damage, or a result; never
// a panic.
func FuzzBatch(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		schemas := schema.NewCache(schema.Limits{MaxSchemas: 100})
		b, err := ParseBatch(raw, schemas)
		if err != nil {
			mustBeDamage(t, err)
			return
		}
		_, err = b.Source()
		mustBeDamage(t, err)
		if b.Snapshot != nil {
			b.Snapshot.Sees(1)
		}
		_, err = b.AppendJSON(nil)
		mustBeDamage(t, err)
		n := 0
		c := b.Events()
		for ; c.Next(); n++ {
			fuzzEvent(t, c.Event())
		}
		if c.Err() == nil && n != b.Len() {
			t.Fatalf("%d events of %d", n, b.Len())
		}
		mustBeDamage(t, c.Err())
		a, err := NewAssembler(AssemblerConfig{}, schemas)
		if err != nil {
			t.Fatal(err)
		}
		txn, err := a.Add(b)
		mustBeDamage(t, err)
		if txn != nil {
			for _, err := range txn.Events() {
				mustBeDamage(t, err)
			}
		}
	})
}

func fuzzEvent(t *testing.T, e *Event) {
	_, err := e.AppendSingle(nil, nil)
	mustBeDamage(t, err)
	_, err = e.SchemaChange()
	mustBeDamage(t, err)
	_, err = e.Failure()
	mustBeDamage(t, err)
	table := e.Table()
	for _, row := range []tuple.Row{e.Key, e.NewKey, e.Old, e.New} {
		after, err := tuple.Overlay(nil, e.Old, row, e.Nulls)
		mustBeDamage(t, err)
		_, err = tuple.Sorted(after)
		mustBeDamage(t, err)
		if table != nil {
			_, err = table.Values(row)
			mustBeDamage(t, err)
		}
	}
}

func mustBeDamage(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, fault.ErrDamaged) {
		t.Fatal(err)
	}
}

// Files of any content.
func FuzzFile(f *testing.F) {
	for _, name := range goldenFiles(f) {
		if pb := readFile(f, name+".pb"); len(pb) < 10000 {
			f.Add(pb)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewFileReader(bytes.NewReader(data), schema.Limits{})
		read := 0
		for {
			raw, err := r.Next()
			if err == io.EOF {
				return
			}
			if mustBeDamage(t, err); err != nil {
				return
			}
			if read += len(raw); read > len(data) || cap(raw) > 4*len(data)+1<<20 {
				t.Fatalf("%d bytes read, %d allocated, out of %d", read, cap(raw), len(data))
			}
		}
	})
}

// Values of every type.
func FuzzValue(f *testing.F) {
	f.Add(int32(value.TypeInt32), int32(0), []byte{0x08, 0x02})
	f.Add(int32(value.TypeArray), int32(value.TypeInt32), []byte{0x0A, 0x05, 0x0A, 0x03, 1, 2, 3})
	f.Add(int32(value.TypeJSON), int32(0), []byte("\x0a\x07{\"a\":1}"))
	f.Fuzz(func(t *testing.T, kind, element int32, row []byte) {
		column := schema.Column{Number: 1, Name: "c", Type: value.Type(kind), Element: value.Type(element)}
		c := tuple.Row(row).Values()
		for c.Next() {
			v, valueErr := column.Value(c.Value())
			_, jsonErr := column.AppendJSON(nil, c.Value())
			mustBeDamage(t, valueErr)
			mustBeDamage(t, jsonErr)
			if v == nil && valueErr == nil {
				t.Fatal("no value")
			}
		}
		mustBeDamage(t, c.Err())
	})
}

// Overlay keeps what the protocol promises: of each number the delta's fields, or
// the base's where neither the delta nor the list of NULLs has it.
func FuzzOverlay(f *testing.F) {
	f.Add([]byte{0x08, 1, 0x10, 2}, []byte{0x10, 3}, []byte{1})
	f.Fuzz(func(t *testing.T, base, delta, nulls []byte) {
		got, err := tuple.Overlay(nil, base, delta, nulls)
		if err != nil {
			mustBeDamage(t, err)
			return
		}
		again, err := tuple.Overlay(nil, got, delta, nulls)
		if err != nil || len(again) != len(got) || !bytes.HasSuffix(got, delta) {
			t.Fatalf("%x, then %x, %v", got, again, err)
		}
	})
}
