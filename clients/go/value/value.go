// Package value gives the values of rows their meaning: as values of Go, as text that
// PostgreSQL reads, and in the JSON form.
package value

import (
	"encoding/json"
	"math"
	"math/big"
	"time"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/pgtext"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// Numeric is the exact text of a numeric: zeros at its end are significant. It may
// be NaN, Infinity or -Infinity.
type Numeric string

// Rat gives the number; ok is false for those that are none.
func (n Numeric) Rat() (r *big.Rat, ok bool) {
	if !pgtext.IsDecimal([]byte(n)) {
		return nil, false
	}
	return new(big.Rat).SetString(string(n))
}

// UUID has a uuid's 16 bytes, as github.com/google/uuid and gofrs/uuid have.
type UUID [16]byte

// String gives the usual form.
func (u UUID) String() string { return string(pgtext.AppendUUID(nil, u[:])) }

// Timestamp counts microseconds since 2000-01-01 00:00:00, in UTC for timestamp
// with time zone. The least and the greatest value are -infinity and infinity.
type Timestamp int64

// Time gives the time in UTC; ok is false for the infinities.
func (t Timestamp) Time() (at time.Time, ok bool) {
	if t.Infinity() != 0 {
		return time.Time{}, false
	}
	// Not UnixMicro of the sum, which does not fit at the far end.
	seconds := pgtext.FloorDiv(int64(t), pgtext.SecondUS)
	return time.Unix(seconds+pgtext.EpochUS/pgtext.SecondUS, (int64(t)-seconds*pgtext.SecondUS)*1000).UTC(), true
}

// Infinity is 1 for infinity, -1 for -infinity, 0 for all others.
func (t Timestamp) Infinity() int { return sign(int64(t), math.MinInt64, math.MaxInt64) }

// Date counts days since 2000-01-01. The least and the greatest value are
// -infinity and infinity.
type Date int32

// Time gives the day's midnight in UTC; ok is false for the infinities.
func (d Date) Time() (at time.Time, ok bool) {
	if d.Infinity() != 0 {
		return time.Time{}, false
	}
	return time.Unix((int64(d)+pgtext.EpochDays)*86400, 0).UTC(), true
}

// Infinity is 1 for infinity, -1 for -infinity, 0 for all others.
func (d Date) Infinity() int { return sign(int64(d), math.MinInt32, math.MaxInt32) }

func sign(v, lowest, highest int64) int {
	switch v {
	case lowest:
		return -1
	case highest:
		return 1
	}
	return 0
}

// TimeOfDay counts microseconds since midnight, up to 24:00:00.
type TimeOfDay int64

// Duration since midnight.
func (t TimeOfDay) Duration() time.Duration { return time.Duration(t) * time.Microsecond }

// TimeTZ is a time of day with its zone.
type TimeTZ struct {
	Time TimeOfDay
	// Offset of the zone, in seconds east of UTC.
	Offset int
}

// Redacted is what stands in place of a redacted value. It is empty where a rule about parts
// of JSON (REDACTION_PATH) withholds the value.
type Redacted string

// Array of any number of dimensions.
type Array struct {
	// Elements in row-major order, nil where one is NULL. Types as of values in rows,
	// except that times, intervals and others are strings: PostgreSQL's text.
	Elements []any
	// Dimensions and LowerBounds, one for each dimension; none if it is empty.
	Dimensions  []int
	LowerBounds []int
}

// Of gives a value of a type as Column.Value does; element is that of an array.
func Of(t, element Type, v tuple.RawValue) (any, error) {
	if t == TypeArray {
		return arrayValue(element, v)
	}
	return scalar(t, v)
}

// OfRedacted is what stands in place of a value.
func OfRedacted(v tuple.RawValue) (any, error) {
	if v.Wire != wire.Len || !pgtext.Valid(v.Bytes) {
		return nil, fault.Damaged("redacted value is not a string")
	}
	return Redacted(v.Bytes), nil
}

// How values of each type become Go's; the wire types are those of jsonRenderers. By
// value: behind a pointer, each would be an allocation.
var scalars = [...]func(v tuple.RawValue) (any, error){
	TypeBool:        func(v tuple.RawValue) (any, error) { return v.Bits != 0, nil },
	TypeInt32:       int32Value,
	TypeInt64:       func(v tuple.RawValue) (any, error) { return wire.Unzigzag(v.Bits), nil },
	TypeUint32:      func(v tuple.RawValue) (any, error) { return uint32(v.Bits), nil },
	TypeFloat:       func(v tuple.RawValue) (any, error) { return math.Float32frombits(uint32(v.Bits)), nil },
	TypeDouble:      func(v tuple.RawValue) (any, error) { return math.Float64frombits(v.Bits), nil },
	TypeNumeric:     numericValue,
	TypeText:        textValue,
	TypeJSON:        jsonRawValue,
	TypeBytes:       func(v tuple.RawValue) (any, error) { return append([]byte{}, v.Bytes...), nil },
	TypeUUID:        uuidValue,
	TypeTimestamp:   func(v tuple.RawValue) (any, error) { return Timestamp(v.Bits), nil },
	TypeTimestampTZ: func(v tuple.RawValue) (any, error) { return Timestamp(v.Bits), nil },
	TypeDate:        dateValue,
	TypeTime:        timeValue,
	TypeTimeTZ:      timeTZValue,
	TypeInterval:    func(v tuple.RawValue) (any, error) { return parseInterval(v.Bytes) },
	TypeArray:       nil,
	TypeOther:       textValue,
}

func scalar(t Type, v tuple.RawValue) (any, error) {
	if t < 0 || int(t) >= len(scalars) || scalars[t] == nil {
		return nil, fault.Damaged("column has a type that this version does not know")
	}
	if v.Wire != jsonRenderers[t].wire {
		return nil, fault.Damaged("field of a row does not have its column's wire type")
	}
	return scalars[t](v)
}

func int32Value(v tuple.RawValue) (any, error) {
	n := wire.Unzigzag(v.Bits)
	if n != int64(int32(n)) {
		return nil, fault.Damaged("integer out of range")
	}
	return int32(n), nil
}

func dateValue(v tuple.RawValue) (any, error) {
	n, err := int32Value(v)
	if err != nil {
		return nil, err
	}
	return Date(n.(int32)), nil
}

func numericValue(v tuple.RawValue) (any, error) {
	if !pgtext.IsDecimal(v.Bytes) && !isNonFinite(v.Bytes) {
		return nil, fault.Damaged("text of a numeric is not a number")
	}
	return Numeric(v.Bytes), nil
}

func textValue(v tuple.RawValue) (any, error) {
	if !pgtext.Valid(v.Bytes) {
		return nil, fault.Damaged("text is not valid UTF-8")
	}
	return string(v.Bytes), nil
}

func jsonRawValue(v tuple.RawValue) (any, error) {
	if !json.Valid(v.Bytes) {
		return nil, fault.Damaged("text of a json value is not JSON")
	}
	return append(json.RawMessage{}, v.Bytes...), nil
}

func uuidValue(v tuple.RawValue) (any, error) {
	if len(v.Bytes) != 16 {
		return nil, fault.Damaged("uuid is not 16 bytes long")
	}
	return UUID(v.Bytes), nil
}

func timeValue(v tuple.RawValue) (any, error) {
	if v.Bits > pgtext.DayUS {
		return nil, fault.Damaged("time of day out of range")
	}
	return TimeOfDay(v.Bits), nil
}

func timeTZValue(v tuple.RawValue) (any, error) {
	us, east, err := timeTZParts(v.Bytes)
	return TimeTZ{TimeOfDay(us), int(east)}, err
}

func arrayValue(element Type, v tuple.RawValue) (any, error) {
	if v.Wire != wire.Len {
		return nil, fault.Damaged("field of a row does not have its column's wire type")
	}
	view, err := parseArray(element, v.Bytes)
	if err != nil {
		return nil, err
	}
	a := Array{Elements: make([]any, 0, view.n)}
	for i := range view.ndim {
		a.Dimensions = append(a.Dimensions, view.dims[i])
		a.LowerBounds = append(a.LowerBounds, int(view.bounds[i]))
	}
	c := elementsOf(element, v.Bytes)
	for c.next() {
		var value any
		if !view.isNull(len(a.Elements)) {
			if value, err = scalar(textInArrays(element), c.value); err != nil {
				return nil, err
			}
		}
		a.Elements = append(a.Elements, value)
	}
	return a, c.err
}
