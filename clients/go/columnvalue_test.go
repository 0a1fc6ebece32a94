package cdc

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
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
