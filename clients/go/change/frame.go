package change

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
)

// Unframe takes the batch out of one message of the server: its length as a
// varint, the batch, and nothing else.
func Unframe(frame []byte) ([]byte, error) {
	size, n := wire.ReadVarint(frame)
	if n == 0 {
		return nil, fault.DamagedBy("length of a batch", wire.ErrVarint)
	}
	if size != uint64(len(frame)-n) {
		return nil, fault.Damaged("length of a batch is not that of its message")
	}
	return frame[n:], nil
}

// AppendFrame appends batch, preceded by its length.
func AppendFrame(dst, batch []byte) []byte {
	return append(wire.AppendVarint(dst, uint64(len(batch))), batch...)
}

// FileReader reads the batches of a file: one of pg_recvlogical, a serialized
// cdc.v1.Stream, or batches preceded by their lengths.
type FileReader struct {
	r      *bufio.Reader
	limits schema.Limits
	buffer []byte
}

// NewFileReader reads from r.
func NewFileReader(r io.Reader, limits schema.Limits) *FileReader {
	return &FileReader{r: bufio.NewReaderSize(r, 1<<16), limits: limits.WithDefaults()}
}

// Next gives the next batch, valid until the next call, or io.EOF at the end. A
// file that ends inside of a batch is damaged.
func (f *FileReader) Next() ([]byte, error) {
	size, err := f.length()
	if err != nil {
		return nil, err
	}
	if size > uint64(f.limits.MaxBatchBytes) {
		return nil, fault.Damaged("batch is larger than the limit")
	}
	f.buffer = f.buffer[:0]
	// In steps: a damaged length does not make it allocate what there is not.
	for left := int(size); left > 0; {
		n := min(left, max(1<<16, len(f.buffer)))
		at := len(f.buffer)
		f.buffer = append(f.buffer, make([]byte, n)...)
		if _, err := io.ReadFull(f.r, f.buffer[at:]); err != nil {
			return nil, truncated(err)
		}
		left -= n
	}
	return f.buffer, nil
}

// length of the next batch. Where it begins, a newline may stand.
func (f *FileReader) length() (uint64, error) {
	for {
		b, err := f.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if b != '\n' {
			break
		}
	}
	if err := f.r.UnreadByte(); err != nil {
		return 0, err
	}
	var size uint64
	for shift := 0; shift < 64; shift += 7 {
		b, err := f.r.ReadByte()
		if err != nil {
			return 0, truncated(err)
		}
		size |= uint64(b&0x7F) << shift
		if b < 0x80 {
			return size, nil
		}
	}
	return 0, fault.DamagedBy("length of a batch", wire.ErrVarint)
}

func truncated(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Damaged("file is cut")
	}
	return err
}

// ParseFrame takes in one message of the server, whose bytes are copied.
func ParseFrame(frame []byte, schemas *schema.Cache) (*Batch, error) {
	raw, err := Unframe(frame)
	if err != nil {
		return nil, err
	}
	return ParseBatch(bytes.Clone(raw), schemas)
}
