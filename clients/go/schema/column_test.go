package schema

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/pgtext"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
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
	varint := func(v uint64) tuple.RawValue { return tuple.RawValue{Number: 1, Bits: v, Wire: wire.Varint} }
	fixed := func(v uint64) tuple.RawValue { return tuple.RawValue{Number: 1, Bits: v, Wire: wire.Fixed64} }
	data := func(b []byte) tuple.RawValue { return tuple.RawValue{Number: 1, Bytes: b, Wire: wire.Len} }
	for _, c := range []struct {
		column Column
		raw    tuple.RawValue
		want   any // an error is wanted if nil
	}{
		{Column{Type: value.TypeBool}, varint(1), true},
		{Column{Type: value.TypeInt32}, varint(wire.Zigzag(-5)), int32(-5)},
		{Column{Type: value.TypeInt32}, varint(wire.Zigzag(1 << 40)), nil},
		{Column{Type: value.TypeInt64}, varint(wire.Zigzag(math.MinInt64)), int64(math.MinInt64)},
		{Column{Type: value.TypeUint32}, varint(math.MaxUint32), uint32(math.MaxUint32)},
		{Column{Type: value.TypeFloat}, tuple.RawValue{Bits: uint64(math.Float32bits(1.5)), Wire: wire.Fixed32}, float32(1.5)},
		{Column{Type: value.TypeDouble}, fixed(math.Float64bits(-0.1)), -0.1},
		{Column{Type: value.TypeDouble}, varint(1), nil},
		{Column{Type: value.TypeNumeric}, data([]byte("1.50")), value.Numeric("1.50")},
		{Column{Type: value.TypeNumeric}, data([]byte("NaN")), value.Numeric("NaN")},
		{Column{Type: value.TypeNumeric}, data([]byte("1e5")), nil},
		{Column{Type: value.TypeText}, data([]byte("é")), "é"},
		{Column{Type: value.TypeText}, data([]byte("\xff")), nil},
		{Column{Type: value.TypeOther}, data([]byte("(1,2)")), "(1,2)"},
		{Column{Type: value.TypeUUID}, data(uuid), value.UUID(uuid)},
		{Column{Type: value.TypeUUID}, data(uuid[:15]), nil},
		{Column{Type: value.TypeDate}, varint(wire.Zigzag(math.MaxInt32)), value.Date(math.MaxInt32)},
		{Column{Type: value.TypeTime}, varint(pgtext.DayUS), value.TimeOfDay(pgtext.DayUS)},
		{Column{Type: value.TypeTime}, varint(pgtext.DayUS + 1), nil},
		{Column{Type: value.TypeTimeTZ}, data(marshal(&cdcv1.TimeTz{Time: 1, Offset: -3600})), value.TimeTZ{Time: 1, Offset: -3600}},
		{Column{Type: value.TypeInterval}, data(marshal(&cdcv1.Interval{Months: 1, Days: -2, Microseconds: 3})), value.Interval{Months: 1, Days: -2, Microseconds: 3}},
		{Column{Type: value.TypeArray, Element: value.TypeInt32},
			data(marshal(&cdcv1.Int32Array{Values: []int32{1, 0, 3, 4}, Nulls: []uint32{1}, Dimensions: []uint32{2, 2}, LowerBounds: []int32{0, -1}})),
			value.Array{Elements: []any{int32(1), nil, int32(3), int32(4)}, Dimensions: []int{2, 2}, LowerBounds: []int{0, -1}}},
		{Column{Type: value.TypeArray, Element: value.TypeTimestamp}, data(marshal(&cdcv1.StringArray{Values: []string{"2020-01-01 10:00:00"}})),
			value.Array{Elements: []any{"2020-01-01 10:00:00"}, Dimensions: []int{1}, LowerBounds: []int{1}}},
		{Column{Type: value.TypeArray, Element: value.TypeInt32}, data(marshal(&cdcv1.Int32Array{Values: []int32{1}, Nulls: []uint32{1}})), nil},
		{Column{Type: value.TypeArray, Element: value.TypeInt32}, data(marshal(&cdcv1.Int32Array{Values: []int32{1}, Dimensions: []uint32{2}, LowerBounds: []int32{1}})), nil},
		{Column{Number: 1, Type: value.TypeInt32, Redaction: cdcv1.Redaction_REDACTION_MASK}, tuple.RawValue{Number: 2001, Bytes: []byte("**"), Wire: wire.Len}, value.Redacted("**")},
		{Column{Type: 99}, varint(1), nil},
	} {
		got, err := c.column.Value(c.raw)
		if c.want == nil && !errors.Is(err, fault.ErrDamaged) || c.want != nil && (err != nil || !reflect.DeepEqual(got, c.want)) {
			t.Errorf("%v: %#v, %v; want %#v", c.column.Type, got, err, c.want)
		}
	}
}
