package wire

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestCursor(t *testing.T) {
	message := AppendUint(nil, 1, 300)
	message = AppendFixed64(message, 2, 1<<63)
	message = AppendLen(message, 1600, []byte("abc"))
	message = append(message, 0x1D, 1, 2, 3, 4) // field 3, fixed32
	c := Over(message)
	var rebuilt []byte
	want := []Field{{1, Varint, 300, nil, nil}, {2, Fixed64, 1 << 63, nil, nil}, {1600, Len, 0, []byte("abc"), nil}, {3, Fixed32, 0x04030201, nil, nil}}
	for i := 0; c.Next(); i++ {
		f := c.Field
		if f.Number != want[i].Number || f.Type != want[i].Type || f.Uint != want[i].Uint || !bytes.Equal(f.Bytes, want[i].Bytes) {
			t.Errorf("field %d is %+v", i, f)
		}
		rebuilt = append(rebuilt, f.Raw...)
	}
	if c.Err() != nil || !bytes.Equal(rebuilt, message) {
		t.Error("raw fields are not the message", c.Err())
	}
}

func TestDamage(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		want  error
	}{
		"field number 0":     {[]byte{0x00, 0x00}, ErrNumber},
		"too large a tag":    {[]byte{0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0}, ErrNumber},
		"group":              {[]byte{0x0B}, ErrType},
		"end of a group":     {[]byte{0x0C}, ErrType},
		"cut tag":            {[]byte{0x88}, ErrVarint},
		"cut varint":         {[]byte{0x08, 0x80}, ErrVarint},
		"no varint":          {[]byte{0x08}, ErrVarint},
		"varint of 11 bytes": {append([]byte{0x08}, bytes.Repeat([]byte{0x80}, 11)...), ErrVarint},
		"varint of 65 bits":  {append(append([]byte{0x08}, bytes.Repeat([]byte{0xFF}, 9)...), 2), ErrVarint},
		"cut fixed64":        {[]byte{0x09, 1, 2, 3, 4, 5, 6, 7}, ErrCut},
		"cut fixed32":        {[]byte{0x0D, 1, 2, 3}, ErrCut},
		"cut bytes":          {[]byte{0x0A, 2, 1}, ErrCut},
		"length of 2^63":     {[]byte{0x0A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}, ErrCut},
	} {
		cursor := Over(c.bytes)
		for cursor.Next() {
		}
		if !errors.Is(cursor.Err(), c.want) || cursor.Next() {
			t.Errorf("%s: %v", name, cursor.Err())
		}
	}
}

func TestZigzag(t *testing.T) {
	for _, v := range []int64{0, 1, -1, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		if Unzigzag(Zigzag(v)) != v {
			t.Error(v)
		}
	}
}
