package cdc

import (
	"bytes"
	"encoding/binary"
)

// copyReader takes apart what COPY ... (FORMAT binary) of one bytea column gives,
// as it comes.
type copyReader struct {
	limit int
	use   func(value []byte) error

	buffer []byte
	header bool // it has been read
	done   bool // the trailer has been read
	err    error
}

var copySignature = []byte("PGCOPY\n\xff\r\n\x00")

// Write implements io.Writer.
func (c *copyReader) Write(data []byte) (int, error) {
	c.buffer = append(c.buffer, data...)
	for c.err == nil && !c.done {
		n := c.step(c.buffer)
		if n == 0 {
			break
		}
		c.buffer = c.buffer[n:]
	}
	if len(c.buffer) == 0 {
		c.buffer = nil
	}
	return len(data), c.err
}

// step takes in what stands at the start, and gives its length; 0 if it is not
// complete.
func (c *copyReader) step(b []byte) int {
	if !c.header {
		size := len(copySignature) + 8 // flags, length of the extension
		if len(b) < size {
			return 0
		}
		extension := int(binary.BigEndian.Uint32(b[size-4:]))
		if !bytes.HasPrefix(b, copySignature) || extension > 1<<16 {
			c.err = damaged("header of a copy")
			return 0
		}
		if len(b) < size+extension {
			return 0
		}
		c.header = true
		return size + extension
	}
	if len(b) < 2 {
		return 0
	}
	switch fields := int16(binary.BigEndian.Uint16(b)); {
	case fields == -1:
		c.done = true
		return 2
	case fields != 1:
		c.err = damaged("row of a copy")
		return 0
	case len(b) < 6:
		return 0
	}
	size := int(int32(binary.BigEndian.Uint32(b[2:])))
	if size < 0 || size > c.limit {
		c.err = damaged("value of a copy")
		return 0
	}
	if len(b) < 6+size {
		return 0
	}
	c.err = c.use(b[6 : 6+size])
	return 6 + size
}
