// Package tuple has views of the bytes of rows: fields by attnum, without a schema.
package tuple

import (
	"encoding/binary"
	"unsafe"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

// Row is a serialized message of the table's own type: field number = attnum.
// It may be passed on as it is, and unmarshalled into a struct generated from
// cdc.proto().
type Row []byte

// MaxColumns of a table.
const MaxColumns = 1600

// RedactedBase: a redacted value stands in field 2000 + attnum.
const RedactedBase = 2000

// RawValue is a value of a row as it was sent; Column.Value gives it its
// meaning.
type RawValue struct {
	// Number is the field's number: the attnum, or 2000 + attnum for what stands
	// in place of a redacted column.
	Number uint32
	// Bits is the value of a field of the wire types varint, fixed64 and fixed32.
	Bits uint64
	// Bytes is the value of a length-delimited field, nil for others. It points
	// into the batch.
	Bytes []byte

	// Wire is the wire type of the field.
	Wire wire.Type
}

// Rows do not change the size of this: it is copied for every value.
var _ [48]byte = [unsafe.Sizeof(RawValue{})]byte{}

// RowCursor walks over the values of a row, without allocation.
//
//	for c := row.Values(); c.Next(); {
//		use c.Value()
//	}
type RowCursor struct{ c wire.Cursor }

// Values gives a cursor before the row's first value.
func (r Row) Values() RowCursor { return RowCursor{wire.Over(r)} }

// Next goes to the next value. It returns false at the end and at damage.
func (c *RowCursor) Next() bool { return c.c.Next() }

// Value is the value that the cursor stands on.
func (c *RowCursor) Value() RawValue {
	f := &c.c.Field
	return RawValue{Number: f.Number, Bits: f.Uint, Bytes: f.Bytes, Wire: f.Type}
}

// Err is what ended the walk, nil at the row's end.
func (c *RowCursor) Err() error {
	if err := c.c.Err(); err != nil {
		return fault.DamagedBy("row", err)
	}
	return nil
}

// Find gives the value with a field number. ok is false if the row has none.
func (r Row) Find(number uint32) (value RawValue, ok bool, err error) {
	c := r.Values()
	for c.Next() {
		if c.c.Field.Number == number {
			value, ok = c.Value(), true
		}
	}
	return value, ok, c.Err()
}

// Numbers is a list of attnums, in ascending order.
type Numbers []byte // packed varints

// Empty tells whether there are none.
func (n Numbers) Empty() bool { return len(n) == 0 }

// Contains tells whether number is one of them.
func (n Numbers) Contains(number uint32) bool {
	found := false
	n.Each(func(v uint32) { found = found || v == number })
	return found
}

// Each calls f for every number.
func (n Numbers) Each(f func(number uint32)) {
	for rest := []byte(n); len(rest) > 0; {
		v, size := binary.Uvarint(rest)
		if size <= 0 {
			return
		}
		f(uint32(v))
		rest = rest[size:]
	}
}

// Slice gives the numbers in a slice of their own.
func (n Numbers) Slice() []uint32 {
	var out []uint32
	n.Each(func(v uint32) { out = append(out, v) })
	return out
}
