package value

import (
	"math"
	"strconv"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/pgtext"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// How a value of each type is rendered as JSON, and its wire type.
type jsonRenderer struct {
	wire   wire.Type
	append func(dst []byte, v *tuple.RawValue) ([]byte, error)
}

var jsonRenderers = [...]jsonRenderer{
	TypeBool:        {wire.Varint, jsonBool},
	TypeInt32:       {wire.Varint, jsonInt},
	TypeInt64:       {wire.Varint, jsonInt},
	TypeUint32:      {wire.Varint, jsonUint32},
	TypeFloat:       {wire.Fixed32, jsonFloat},
	TypeDouble:      {wire.Fixed64, jsonDouble},
	TypeNumeric:     {wire.Len, jsonNumeric},
	TypeText:        {wire.Len, jsonText},
	TypeJSON:        {wire.Len, jsonEmbedded},
	TypeBytes:       {wire.Len, jsonBytes},
	TypeUUID:        {wire.Len, jsonUUID},
	TypeTimestamp:   {wire.Fixed64, jsonTimestamp},
	TypeTimestampTZ: {wire.Fixed64, jsonTimestampTZ},
	TypeDate:        {wire.Varint, jsonDate},
	TypeTime:        {wire.Varint, jsonTime},
	TypeTimeTZ:      {wire.Len, jsonTimeTZ},
	TypeInterval:    {wire.Len, jsonInterval},
	TypeArray:       {},
	TypeOther:       {wire.Len, jsonText},
}

// appendJSONScalar appends a value of any type but an array.
func appendJSONScalar(dst []byte, t Type, v *tuple.RawValue) ([]byte, error) {
	if t < 0 || int(t) >= len(jsonRenderers) || jsonRenderers[t].append == nil {
		return dst, fault.Damaged("column has a type that this version does not know")
	}
	if v.Wire != jsonRenderers[t].wire {
		return dst, fault.Damaged("field of a row does not have its column's wire type")
	}
	return jsonRenderers[t].append(dst, v)
}

// AppendJSON appends a value of a type in the JSON form; element is that of an array.
func AppendJSON(dst []byte, t, element Type, v *tuple.RawValue) ([]byte, error) {
	if t != TypeArray {
		return appendJSONScalar(dst, t, v)
	}
	return appendJSONArray(dst, element, v)
}

func jsonBool(dst []byte, v *tuple.RawValue) ([]byte, error) {
	return strconv.AppendBool(dst, v.Bits != 0), nil
}

func jsonInt(dst []byte, v *tuple.RawValue) ([]byte, error) {
	return strconv.AppendInt(dst, wire.Unzigzag(v.Bits), 10), nil
}

func jsonUint32(dst []byte, v *tuple.RawValue) ([]byte, error) {
	return strconv.AppendUint(dst, uint64(uint32(v.Bits)), 10), nil
}

func jsonFloat(dst []byte, v *tuple.RawValue) ([]byte, error) {
	return appendJSONFloat(dst, float64(math.Float32frombits(uint32(v.Bits))), 32), nil
}

func jsonDouble(dst []byte, v *tuple.RawValue) ([]byte, error) {
	return appendJSONFloat(dst, math.Float64frombits(v.Bits), 64), nil
}

// Numbers that JSON does not have are strings.
func appendJSONFloat(dst []byte, v float64, bits int) []byte {
	if pgtext.IsFinite(v) {
		return pgtext.AppendFloat(dst, v, bits)
	}
	return append(pgtext.AppendFloat(append(dst, '"'), v, bits), '"')
}

func jsonNumeric(dst []byte, v *tuple.RawValue) ([]byte, error) {
	if isNonFinite(v.Bytes) {
		return pgtext.AppendJSONString(dst, v.Bytes), nil
	}
	if !pgtext.IsDecimal(v.Bytes) {
		return dst, fault.Damaged("text of a numeric is not a number")
	}
	return append(dst, v.Bytes...), nil
}

func isNonFinite(numeric []byte) bool {
	switch string(numeric) {
	case "NaN", "Infinity", "-Infinity":
		return true
	}
	return false
}

func jsonText(dst []byte, v *tuple.RawValue) ([]byte, error) {
	if !pgtext.Valid(v.Bytes) {
		return dst, fault.Damaged("text is not valid UTF-8")
	}
	return pgtext.AppendJSONString(dst, v.Bytes), nil
}

func jsonEmbedded(dst []byte, v *tuple.RawValue) ([]byte, error) {
	if !pgtext.Valid(v.Bytes) {
		return dst, fault.Damaged("text is not valid UTF-8")
	}
	dst, ok := pgtext.AppendCompact(dst, v.Bytes)
	if !ok {
		return dst, fault.Damaged("text of a json value is not JSON")
	}
	return dst, nil
}

func jsonBytes(dst []byte, v *tuple.RawValue) ([]byte, error) {
	return append(pgtext.AppendHex(append(dst, `"\\x`...), v.Bytes), '"'), nil
}

func jsonUUID(dst []byte, v *tuple.RawValue) ([]byte, error) {
	if len(v.Bytes) != 16 {
		return dst, fault.Damaged("uuid is not 16 bytes long")
	}
	return append(pgtext.AppendUUID(append(dst, '"'), v.Bytes), '"'), nil
}

func jsonTimestamp(dst []byte, v *tuple.RawValue) ([]byte, error) {
	return appendJSONTimestamp(dst, int64(v.Bits), "")
}

func jsonTimestampTZ(dst []byte, v *tuple.RawValue) ([]byte, error) {
	return appendJSONTimestamp(dst, int64(v.Bits), "+00:00")
}

func appendJSONTimestamp(dst []byte, us int64, zone string) ([]byte, error) {
	dst, ok := pgtext.AppendTimestamp(append(dst, '"'), us, zone)
	if !ok {
		return dst, fault.Damaged("date out of range")
	}
	return append(dst, '"'), nil
}

// AppendUnixTime appends microseconds since 1970.
func AppendUnixTime(dst []byte, us int64) ([]byte, error) {
	if us < math.MinInt64+pgtext.EpochUS {
		return dst, fault.Damaged("time out of range")
	}
	return appendJSONTimestamp(dst, us-pgtext.EpochUS, "+00:00")
}

func jsonDate(dst []byte, v *tuple.RawValue) ([]byte, error) {
	days := wire.Unzigzag(v.Bits)
	dst = append(dst, '"')
	if text := pgtext.Infinity(days, math.MinInt32, math.MaxInt32); text != "" {
		return append(append(dst, text...), '"'), nil
	}
	dst, bc, ok := pgtext.AppendDate(dst, days)
	if !ok {
		return dst, fault.Damaged("date out of range")
	}
	if bc {
		dst = append(dst, " BC"...)
	}
	return append(dst, '"'), nil
}

func jsonTime(dst []byte, v *tuple.RawValue) ([]byte, error) {
	if v.Bits > pgtext.DayUS {
		return dst, fault.Damaged("time of day out of range")
	}
	return append(pgtext.AppendClock(append(dst, '"'), int64(v.Bits)), '"'), nil
}

func jsonTimeTZ(dst []byte, v *tuple.RawValue) ([]byte, error) {
	us, east, err := timeTZParts(v.Bytes)
	if err != nil {
		return dst, err
	}
	dst = pgtext.AppendClock(append(dst, '"'), us)
	return append(pgtext.AppendZone(dst, east), '"'), nil
}

func timeTZParts(raw []byte) (us, east int64, err error) {
	var parts [2]uint64
	if err := smallMessage(raw, parts[:]); err != nil {
		return 0, 0, err
	}
	east = wire.Unzigzag(parts[1])
	if east < -86400 || east > 86400 {
		return 0, 0, fault.Damaged("time zone out of range")
	}
	if parts[0] > pgtext.DayUS {
		return 0, 0, fault.Damaged("time of day out of range")
	}
	return int64(parts[0]), east, nil
}

func jsonInterval(dst []byte, v *tuple.RawValue) ([]byte, error) {
	i, err := parseInterval(v.Bytes)
	if err != nil {
		return dst, err
	}
	if text := i.infinity(); text != "" {
		return pgtext.AppendJSONString(dst, text), nil
	}
	dst = strconv.AppendInt(append(dst, `{"months":`...), i.Months, 10)
	dst = strconv.AppendInt(append(dst, `,"days":`...), i.Days, 10)
	dst = strconv.AppendInt(append(dst, `,"microseconds":`...), i.Microseconds, 10)
	return append(dst, '}'), nil
}

// smallMessage reads the varint fields 1 to len(values); 0 where absent.
func smallMessage(raw []byte, values []uint64) error {
	c := wire.Over(raw)
	for c.Next() {
		if c.Field.Number > uint32(len(values)) {
			continue
		}
		if c.Field.Type != wire.Varint {
			return fault.DamagedBy("value", wire.ErrType)
		}
		values[c.Field.Number-1] = c.Field.Uint
	}
	if c.Err() != nil {
		return fault.DamagedBy("value", c.Err())
	}
	return nil
}
