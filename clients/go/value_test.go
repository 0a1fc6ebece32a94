package cdc

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"google.golang.org/protobuf/proto"
)

func TestValues(t *testing.T) {
	marshal := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	uuid := []byte("0123456789abcdef")
	varint := func(v uint64) RawValue { return RawValue{Number: 1, Bits: v, wire: wire.Varint} }
	fixed := func(v uint64) RawValue { return RawValue{Number: 1, Bits: v, wire: wire.Fixed64} }
	data := func(b []byte) RawValue { return RawValue{Number: 1, Bytes: b, wire: wire.Len} }
	for _, c := range []struct {
		column Column
		raw    RawValue
		want   any // an error is wanted if nil
	}{
		{Column{Type: TypeBool}, varint(1), true},
		{Column{Type: TypeInt32}, varint(wire.Zigzag(-5)), int32(-5)},
		{Column{Type: TypeInt32}, varint(wire.Zigzag(1 << 40)), nil},
		{Column{Type: TypeInt64}, varint(wire.Zigzag(math.MinInt64)), int64(math.MinInt64)},
		{Column{Type: TypeUint32}, varint(math.MaxUint32), uint32(math.MaxUint32)},
		{Column{Type: TypeFloat}, RawValue{Bits: uint64(math.Float32bits(1.5)), wire: wire.Fixed32}, float32(1.5)},
		{Column{Type: TypeDouble}, fixed(math.Float64bits(-0.1)), -0.1},
		{Column{Type: TypeDouble}, varint(1), nil},
		{Column{Type: TypeNumeric}, data([]byte("1.50")), Numeric("1.50")},
		{Column{Type: TypeNumeric}, data([]byte("NaN")), Numeric("NaN")},
		{Column{Type: TypeNumeric}, data([]byte("1e5")), nil},
		{Column{Type: TypeText}, data([]byte("é")), "é"},
		{Column{Type: TypeText}, data([]byte("\xff")), nil},
		{Column{Type: TypeOther}, data([]byte("(1,2)")), "(1,2)"},
		{Column{Type: TypeUUID}, data(uuid), UUID(uuid)},
		{Column{Type: TypeUUID}, data(uuid[:15]), nil},
		{Column{Type: TypeDate}, varint(wire.Zigzag(math.MaxInt32)), Date(math.MaxInt32)},
		{Column{Type: TypeTime}, varint(usPerDay), TimeOfDay(usPerDay)},
		{Column{Type: TypeTime}, varint(usPerDay + 1), nil},
		{Column{Type: TypeTimeTZ}, data(marshal(&cdcv1.TimeTz{Time: 1, Offset: -3600})), TimeTZ{1, -3600}},
		{Column{Type: TypeInterval}, data(marshal(&cdcv1.Interval{Months: 1, Days: -2, Microseconds: 3})), Interval{1, -2, 3}},
		{Column{Type: TypeArray, Element: TypeInt32},
			data(marshal(&cdcv1.Int32Array{Values: []int32{1, 0, 3, 4}, Nulls: []uint32{1}, Dimensions: []uint32{2, 2}, LowerBounds: []int32{0, -1}})),
			Array{[]any{int32(1), nil, int32(3), int32(4)}, []int{2, 2}, []int{0, -1}}},
		{Column{Type: TypeArray, Element: TypeTimestamp}, data(marshal(&cdcv1.StringArray{Values: []string{"2020-01-01 10:00:00"}})),
			Array{[]any{"2020-01-01 10:00:00"}, []int{1}, []int{1}}},
		{Column{Type: TypeArray, Element: TypeInt32}, data(marshal(&cdcv1.Int32Array{Values: []int32{1}, Nulls: []uint32{1}})), nil},
		{Column{Type: TypeArray, Element: TypeInt32}, data(marshal(&cdcv1.Int32Array{Values: []int32{1}, Dimensions: []uint32{2}, LowerBounds: []int32{1}})), nil},
		{Column{Number: 1, Type: TypeInt32, Redaction: cdcv1.Redaction_REDACTION_MASK}, RawValue{Number: 2001, Bytes: []byte("**"), wire: wire.Len}, Redacted("**")},
		{Column{Type: 99}, varint(1), nil},
	} {
		got, err := c.column.Value(c.raw)
		if c.want == nil && !errors.Is(err, ErrDamaged) || c.want != nil && (err != nil || !reflect.DeepEqual(got, c.want)) {
			t.Errorf("%v: %#v, %v; want %#v", c.column.Type, got, err, c.want)
		}
	}
}

func TestTimes(t *testing.T) {
	if at, ok := Timestamp(0).Time(); !ok || !at.Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Error(at, ok)
	}
	if at, ok := Timestamp(-1).Time(); !ok || at.Format(time.RFC3339Nano) != "1999-12-31T23:59:59.999999Z" {
		t.Error(at, ok)
	}
	if at, ok := Timestamp(math.MaxInt64 - 1).Time(); !ok || at.Year() != 294277 {
		t.Error(at, ok) // beyond what PostgreSQL has, and what Unix microseconds hold
	}
	for _, v := range []Timestamp{math.MaxInt64, math.MinInt64} {
		if _, ok := v.Time(); ok {
			t.Error(v, "is a time")
		}
	}
	if at, ok := Date(-10957).Time(); !ok || at.Unix() != 0 {
		t.Error(at, ok)
	}
	if r, ok := Numeric("-12345678901234567890.50").Rat(); !ok || r.FloatString(2) != "-12345678901234567890.50" {
		t.Error(r, ok)
	}
	if _, ok := Numeric("NaN").Rat(); ok {
		t.Error("NaN is a number")
	}
	if d, ok := (Interval{0, 0, 1500}).Duration(); !ok || d != 1500*time.Microsecond {
		t.Error(d, ok)
	}
	if _, ok := (Interval{1, 0, 0}).Duration(); ok {
		t.Error("a month has a duration")
	}
}

func TestFits(t *testing.T) {
	// cdcv1.Source: 1 fixed64, 2 uint32, 3 string, 6 uint32
	message := (&cdcv1.Source{}).ProtoReflect().Descriptor()
	table := func(columns ...Column) *Table { return &Table{Schema: "s", Name: "t", Columns: columns} }
	if err := Fits(message, table(Column{Number: 2, Type: TypeUint32}, Column{Number: 3, Type: TypeText}, Column{Number: 99, Type: TypeBool})); err != nil {
		t.Error(err)
	}
	var fit *FitError
	err := Fits(message, table(Column{Number: 3, Name: "amount", Type: TypeInt64}))
	if !errors.As(err, &fit) || fit.Column != "amount" || fit.Want != "sint64" || fit.Have != "string" {
		t.Error(err)
	}
	if Fits(message, table(Column{Number: 3, Type: TypeArray, Element: TypeText})) == nil {
		t.Error("an array fits a string")
	}
	masked := Column{Number: 3, Name: "m", Type: TypeInt64, Redaction: cdcv1.Redaction_REDACTION_MASK}
	if err := Fits(message, table(masked)); err != nil {
		t.Error("a redacted column does not use its field:", err)
	}
	d := NewDecoder[*cdcv1.Source]()
	good := table(Column{Number: 3, Type: TypeText})
	m, err := d.Decode(good, wire.AppendLen(nil, 3, []byte("db")))
	if err != nil || m.Database != "db" {
		t.Error(m, err)
	}
	if _, err := d.Decode(good, Row{0x0A, 9}); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	bad := table(Column{Number: 3, Type: TypeInt64})
	bad.Fingerprint = 1
	for range 2 {
		if _, err := d.Decode(bad, nil); !errors.As(err, &fit) {
			t.Error(err)
		}
	}
}

func TestCut(t *testing.T) {
	for _, name := range goldenFiles(t) {
		r := NewFileReader(bytes.NewReader(readFile(t, name+".pb")), Limits{})
		schemas := NewSchemaCache(Limits{})
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
				piece, err := c.Event().AppendCut(nil, source)
				if err != nil {
					t.Fatal(err)
				}
				alone, err := ParseBatch(piece, NewSchemaCache(Limits{}))
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
