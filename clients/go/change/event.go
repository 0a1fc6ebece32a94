package change

import (
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// Event is a view of one change. It points into the bytes of its batch and is
// valid as long as they are; copy what is to be kept.
type Event struct {
	// Op is what happened.
	Op Op
	// Fingerprint of the relation's schema; 0 for a Message, and where no more rows of the
	// relation come (OpSchema).
	Fingerprint schema.Fingerprint
	// Key has the key columns before the change. Empty if the table has no key or
	// the WAL does not tell it.
	Key tuple.Row
	// NewKey has the key columns after an UPDATE that changed them, or when the
	// key before it is unknown.
	NewKey tuple.Row
	// Old is the image before the change, without the key. Only under REPLICA
	// IDENTITY FULL.
	Old tuple.Row
	// New is the image after the change, without the key; of an UPDATE only what
	// may have changed. An absent column is NULL in an INSERT, and kept its value
	// in an UPDATE.
	New tuple.Row
	// Nulls are the columns that an UPDATE set to NULL.
	Nulls tuple.Numbers
	// Unavailable are columns whose value is unknown where absence would mean NULL.
	Unavailable tuple.Numbers
	// SubXID is the (sub)transaction, of streamed transactions only.
	SubXID uint32
	// RewriteStart: what is held of the table is to be dropped before this row.
	RewriteStart bool

	batch    *Batch
	raw      []byte
	offset   uint64
	index    uint32
	unknown  int
	truncate []byte
	message  []byte
	failure  []byte
	change   []byte
}

// Fields of ChangeEvent, by number.
const (
	eventOp           = 1
	eventOffset       = 2
	eventIndex        = 3
	eventSchema       = 4
	eventKey          = 5
	eventOld          = 6
	eventNew          = 7
	eventNulls        = 8
	eventNewKey       = 9
	eventSubXID       = 10
	eventUnavailable  = 11
	eventTruncate     = 12
	eventMessage      = 13
	eventFailure      = 14
	eventRewriteStart = 15
	eventSchemaChange = 16
	eventFields       = 17
)

// The wire type of every field. Nulls and Unavailable look for themselves.
var eventWire = [eventFields]wire.Type{
	eventSchema: wire.Fixed64, eventKey: wire.Len, eventOld: wire.Len, eventNew: wire.Len,
	eventNewKey: wire.Len, eventTruncate: wire.Len, eventMessage: wire.Len, eventFailure: wire.Len,
	eventSchemaChange: wire.Len,
}

// parse reads the event's own fields; rows are not looked into.
func (e *Event) parse(b *Batch, raw []byte) error {
	*e = Event{batch: b, raw: raw}
	c := wire.Over(raw)
	for c.Next() {
		f := &c.Field
		if f.Number >= eventFields {
			e.unknown++
			continue
		}
		if f.Type != eventWire[f.Number] && f.Number != eventNulls && f.Number != eventUnavailable {
			return fault.DamagedBy("event", wire.ErrType)
		}
		switch f.Number {
		case eventOp:
			e.Op = Op(f.Uint)
		case eventOffset:
			e.offset = f.Uint
		case eventIndex:
			e.index = uint32(f.Uint)
		case eventSchema:
			e.Fingerprint = schema.Fingerprint(f.Uint)
		case eventKey:
			e.Key = f.Bytes
		case eventOld:
			e.Old = f.Bytes
		case eventNew:
			e.New = f.Bytes
		case eventNewKey:
			e.NewKey = f.Bytes
		case eventNulls:
			if err := addNumbers(&e.Nulls, f); err != nil {
				return fault.DamagedBy("event", err)
			}
		case eventUnavailable:
			if err := addNumbers(&e.Unavailable, f); err != nil {
				return fault.DamagedBy("event", err)
			}
		case eventSubXID:
			e.SubXID = uint32(f.Uint)
		case eventTruncate:
			e.truncate = f.Bytes
		case eventMessage:
			e.message = f.Bytes
		case eventFailure:
			e.failure = f.Bytes
		case eventRewriteStart:
			e.RewriteStart = f.Uint != 0
		case eventSchemaChange:
			e.change = f.Bytes
		}
	}
	if c.Err() != nil {
		return fault.DamagedBy("event", c.Err())
	}
	if e.Op == OpSchema {
		return e.checkSchemaChange()
	}
	return nil
}

// EventCursor walks over the events of a batch, without allocation.
//
//	for c := batch.Events(); c.Next(); {
//		use c.Event()
//	}
type EventCursor struct {
	batch *Batch
	c     wire.Cursor
	event Event
	err   error
	at    int // place of the next event
	skip  []int
}

// Events gives a cursor before the batch's first event.
func (b *Batch) Events() EventCursor {
	return EventCursor{batch: b, c: wire.Over(b.events), skip: b.skip}
}

// Skip has the events in these places, in ascending order, left out.
func (b *Batch) Skip(places []int) { b.skip = places }

// Next goes to the next event. It returns false at the end and at damage.
func (c *EventCursor) Next() bool {
	if c.err != nil {
		return false
	}
	for c.c.Next() {
		if c.c.Field.Number != batchEvents {
			continue
		}
		c.at++
		if len(c.skip) > 0 && c.skip[0] == c.at-1 {
			c.skip = c.skip[1:]
			continue
		}
		c.err = c.event.parse(c.batch, c.c.Field.Bytes)
		if c.err == nil && c.batch.void != nil {
			if _, void := c.batch.void[c.event.SubXID]; void {
				continue
			}
		}
		return c.err == nil
	}
	return false
}

// Damage is what is wrong with the event that the cursor stands on, when Next has returned
// false; nil where the walk has come to its end, or the batch itself is damaged.
func (c *EventCursor) Damage() error { return c.err }

// GoOn makes the cursor go on behind an event that is damaged.
func (c *EventCursor) GoOn() { c.err = nil }

// Event is the one that the cursor stands on, valid until the next call of Next.
func (c *EventCursor) Event() *Event { return &c.event }

// Err is what ended the walk, nil at the batch's end.
func (c *EventCursor) Err() error {
	if c.err != nil {
		return c.err
	}
	if c.c.Err() != nil {
		return fault.DamagedBy("batch", c.c.Err())
	}
	return nil
}

// Batch that the event is in.
func (e *Event) Batch() *Batch { return e.batch }

// Raw is the serialized ChangeEvent.
func (e *Event) Raw() []byte { return e.raw }

// Position identifies the change. CommitLSN is 0 in streamed and prepared
// transactions, until they are assembled. What is read has no position.
func (e *Event) Position() wal.Position {
	if e.Op == OpRead {
		return wal.Position{}
	}
	t := &e.batch.Transaction
	p := wal.Position{CommitLSN: t.CommitLSN, LSN: t.FirstLSN + wal.LSN(e.offset), Index: e.index}
	if !e.batch.HasTransaction {
		p.CommitLSN = p.LSN
	}
	return p
}

// Table of the event, nil for what has none (see Fingerprint), and if the schema has not come.
func (e *Event) Table() *schema.Table {
	if e.Fingerprint == 0 {
		return nil
	}
	return e.batch.schemas.Find(e.Fingerprint)
}

// Failed tells whether the change could not be encoded: rows are incomplete and
// must not be applied.
func (e *Event) Failed() bool { return e.failure != nil }

// UnknownFields is the number of fields that this version does not know.
func (e *Event) UnknownFields() int { return e.unknown }

// addNumbers takes in a field of repeated numbers, packed or not.
func addNumbers(n *tuple.Numbers, f *wire.Field) error {
	switch f.Type {
	case wire.Varint:
		// Not how the server writes it: the list leaves the batch's bytes.
		*n = wire.AppendVarint((*n)[:len(*n):len(*n)], f.Uint)
		return nil
	case wire.Len:
		for rest := f.Bytes; len(rest) > 0; {
			_, size := wire.ReadVarint(rest)
			if size == 0 {
				return wire.ErrVarint
			}
			rest = rest[size:]
		}
		if len(*n) == 0 {
			*n = f.Bytes
		} else {
			*n = append((*n)[:len(*n):len(*n)], f.Bytes...)
		}
		return nil
	}
	return wire.ErrType
}
