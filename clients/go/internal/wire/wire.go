// Package wire reads and writes Protobuf's wire format: bytes only, no meaning.
package wire

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// Type is a wire type.
type Type uint8

// The wire types that exist; groups are not used.
const (
	Varint  Type = 0
	Fixed64 Type = 1
	Len     Type = 2
	Fixed32 Type = 5
)

// MaxVarint is the length in bytes of the longest varint.
const MaxVarint = 10

// What is wrong with bytes.
var (
	ErrVarint = errors.New("varint is cut or too long")
	ErrNumber = errors.New("invalid field number")
	ErrType   = errors.New("invalid wire type")
	ErrCut    = errors.New("field ends beyond its message")
)

// Field is one field of a message.
type Field struct {
	Number uint32
	Type   Type
	// Uint is the value of a Varint, Fixed64 or Fixed32 field.
	Uint uint64
	// Bytes is the value of a Len field. It points into the message.
	Bytes []byte
	// Raw is the whole field with its tag. It points into the message.
	Raw []byte
}

// Cursor walks over the fields of a message.
//
//	for c := wire.Over(message); c.Next(); {
//		use c.Field
//	}
//	if c.Err() != nil ...
type Cursor struct {
	Field     Field
	remaining []byte
	err       error
}

// Over gives a cursor that stands before the first field of message.
func Over(message []byte) Cursor { return Cursor{remaining: message} }

// Err is what ended the walk, nil at the message's end.
func (c *Cursor) Err() error { return c.err }

// Next goes to the next field. It returns false at the end and at damage.
func (c *Cursor) Next() bool {
	if len(c.remaining) == 0 || c.err != nil {
		return false
	}
	start := c.remaining
	var tag uint64
	if b := c.remaining[0]; b < 0x80 {
		tag = uint64(b)
		c.remaining = c.remaining[1:]
	} else {
		var n int
		if tag, n = ReadVarint(c.remaining); n == 0 {
			return c.fail(ErrVarint)
		}
		c.remaining = c.remaining[n:]
	}
	if tag>>3 == 0 || tag > 0xFFFFFFFF {
		return c.fail(ErrNumber)
	}
	c.Field.Number = uint32(tag >> 3)
	c.Field.Type = Type(tag & 7)
	n, err := c.Field.value(c.remaining)
	if err != nil {
		return c.fail(err)
	}
	c.remaining = c.remaining[n:]
	c.Field.Raw = start[:len(start)-len(c.remaining)]
	return true
}

func (c *Cursor) fail(err error) bool {
	c.err = err
	return false
}

// value reads a value of f.Type from the start of b; n is its length.
func (f *Field) value(b []byte) (n int, err error) {
	f.Bytes = nil
	switch f.Type {
	case Varint:
		if f.Uint, n = ReadVarint(b); n == 0 {
			return 0, ErrVarint
		}
		return n, nil
	case Fixed64:
		if len(b) < 8 {
			return 0, ErrCut
		}
		f.Uint = binary.LittleEndian.Uint64(b)
		return 8, nil
	case Fixed32:
		if len(b) < 4 {
			return 0, ErrCut
		}
		f.Uint = uint64(binary.LittleEndian.Uint32(b))
		return 4, nil
	case Len:
		size, n := ReadVarint(b)
		if n == 0 {
			return 0, ErrVarint
		}
		if size > uint64(len(b)-n) {
			return 0, ErrCut
		}
		end := n + int(size)
		f.Uint = 0
		f.Bytes = b[n:end:end]
		return end, nil
	}
	return 0, ErrType
}

// Value reads a value without a tag, as packed fields have them, from the start
// of b; n is its length.
func Value(t Type, b []byte) (f Field, n int, err error) {
	f.Type = t
	n, err = f.value(b)
	return f, n, err
}

// ReadVarint reads a varint from the start of b. n is its length, 0 if b is cut
// or the varint is longer than 64 bits.
func ReadVarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	v, n = binary.Uvarint(b)
	if n <= 0 {
		return 0, 0
	}
	return v, n
}

// AppendVarint appends a minimal varint.
func AppendVarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// AppendLen appends a Len field.
func AppendLen(dst []byte, number uint32, value []byte) []byte {
	return append(AppendLenHeader(dst, number, len(value)), value...)
}

// AppendLenHeader appends what stands before the bytes of a Len field.
func AppendLenHeader(dst []byte, number uint32, size int) []byte {
	dst = AppendVarint(dst, uint64(number)<<3|uint64(Len))
	return AppendVarint(dst, uint64(size))
}

// LenSize is how long a Len field of a size is, and UintSize a Varint field.
func LenSize(number uint32, size int) int { return UintSize(number, uint64(size)) + size }

// UintSize is how long a Varint field is.
func UintSize(number uint32, value uint64) int {
	return varintSize(uint64(number)<<3) + varintSize(value)
}

func varintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// AppendUint appends a Varint field.
func AppendUint(dst []byte, number uint32, value uint64) []byte {
	dst = AppendVarint(dst, uint64(number)<<3|uint64(Varint))
	return AppendVarint(dst, value)
}

// AppendFixed64 appends a Fixed64 field.
func AppendFixed64(dst []byte, number uint32, value uint64) []byte {
	dst = AppendVarint(dst, uint64(number)<<3|uint64(Fixed64))
	return binary.LittleEndian.AppendUint64(dst, value)
}

// Unzigzag decodes sint32 and sint64.
func Unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// Zigzag encodes sint32 and sint64.
func Zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }
