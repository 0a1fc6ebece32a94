package cdc

import (
	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

// AppendCut appends the smallest batch that has one event alone: it decodes to
// the same position and rows, wherever it is sent. Rows are not decoded. source
// is a serialized Source for batches that have none of their own, or nil. Pieces
// have no outcome; part numbers nothing.
func (e *Event) AppendCut(dst, source []byte) ([]byte, error) {
	b := e.batch
	source = append([]byte(nil), source...)
	c := wire.Over(b.raw)
	for c.Next() {
		f := &c.Field
		switch {
		case f.Number == batchTransaction, f.Number == batchSnapshot,
			f.Number == batchEndLSN && !b.HasTransaction:
			dst = append(dst, f.Raw...)
		case f.Number == batchSource:
			source = f.Bytes
		}
	}
	if c.Err() != nil {
		return nil, damagedBy("batch", c.Err())
	}
	if t := e.Table(); t != nil {
		version := wire.AppendFixed64(nil, 1, uint64(t.Fingerprint))
		dst = wire.AppendLen(dst, batchSchemas, wire.AppendLen(version, 2, t.Bytes))
	}
	dst = wire.AppendLen(dst, batchEvents, e.raw)
	if len(source) > 0 {
		dst = wire.AppendLen(dst, batchSource, source)
	}
	return dst, nil
}
