package change

import (
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// AppendSingle appends the smallest batch that has one event alone: it decodes to
// the same position, schema, version and rows, wherever it is sent. Rows are not
// decoded, and nothing is allocated but what dst needs. source is a serialized Source
// for batches that have none of their own; nil: what came last, in batches of a Stream.
// Pieces have no outcome; part numbers nothing.
func (e *Event) AppendSingle(dst, source []byte) ([]byte, error) {
	b := e.batch
	if source == nil {
		source = b.latest
	}
	for _, part := range b.outside {
		c := wire.Over(part)
		for c.Next() {
			f := &c.Field
			switch {
			case f.Number == batchTransaction && b.completed:
				dst = b.Transaction.append(dst, f.Bytes)
			case f.Number == batchSource:
				source = nil
				dst = append(dst, f.Raw...)
			case f.Number == batchTransaction, f.Number == batchSnapshot, f.Number == batchEndLSN && !b.HasTransaction:
				dst = append(dst, f.Raw...)
			}
		}
		if c.Err() != nil {
			return nil, fault.DamagedBy("batch", c.Err())
		}
	}
	if len(source) > 0 {
		dst = wire.AppendLen(dst, batchSource, source)
	}
	if t := e.Table(); t != nil {
		dst = appendSchema(dst, t, e.Version())
	}
	return wire.AppendLen(dst, batchEvents, e.raw), nil
}

// appendSchema appends a SchemaVersion as a field of a batch.
func appendSchema(dst []byte, t *schema.Table, v schema.Version) []byte {
	size := 9 + wire.LenSize(2, len(t.Bytes))
	if v.Major != 0 {
		size += wire.UintSize(3, uint64(v.Major))
	}
	if v.Unmapped != "" {
		size += wire.LenSize(4, len(v.Unmapped))
	}
	dst = wire.AppendLenHeader(dst, batchSchemas, size)
	dst = wire.AppendFixed64(dst, 1, uint64(t.Fingerprint))
	dst = wire.AppendLen(dst, 2, t.Bytes)
	if v.Major != 0 {
		dst = wire.AppendUint(dst, 3, uint64(v.Major))
	}
	if v.Unmapped != "" {
		dst = append(wire.AppendLenHeader(dst, 4, len(v.Unmapped)), v.Unmapped...)
	}
	return dst
}

// append appends a Transaction as a field of a batch: what is known now of one whose
// parts came before its commit. raw is the part's own header, of which fields that this
// version does not know are kept.
func (t *Transaction) append(dst, raw []byte) []byte {
	var body []byte // seldom enough to be allocated
	if t.XID != 0 {
		body = wire.AppendUint(body, 1, uint64(t.XID))
	}
	body = appendLSN(body, 2, t.FirstLSN)
	body = appendLSN(body, 3, t.CommitLSN)
	body = appendLSN(body, 4, wal.LSN(t.CommitTimeUS))
	if t.Origin != "" {
		body = wire.AppendLen(body, 5, []byte(t.Origin))
	}
	if t.GID != "" {
		body = wire.AppendLen(body, 6, []byte(t.GID))
	}
	for _, m := range t.Metadata {
		body = wire.AppendLen(body, 7, wire.AppendLen(wire.AppendLen(nil, 1, []byte(m.Key)), 2, []byte(m.Value)))
	}
	body = appendLSN(body, 8, t.PrepareLSN)
	for c := wire.Over(raw); c.Next(); {
		if c.Field.Number > 8 {
			body = append(body, c.Field.Raw...)
		}
	}
	return wire.AppendLen(dst, batchTransaction, body)
}

func appendLSN(dst []byte, number uint32, l wal.LSN) []byte {
	if l == 0 {
		return dst
	}
	return wire.AppendFixed64(dst, number, uint64(l))
}
