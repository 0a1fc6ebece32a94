// Package change has views of what the server sends: batches, events, and transactions,
// which an Assembler puts together from their parts. Nothing here opens a connection.
package change

import (
	"time"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// Batch is a view of one message of the server: a transaction, a part of one,
// or a logical message that stands outside of transactions. It points into the
// bytes that it was parsed from and is valid as long as they are. A compressed batch is
// taken for the one inside of it, with bytes of its own.
type Batch struct {
	// Transaction is the zero value for what stands outside of one: see HasTransaction.
	Transaction Transaction
	// HasTransaction: false for non-transactional messages and READ batches.
	HasTransaction bool
	// Part counts from 0 within the transaction.
	Part uint32
	// Outcome of the transaction, Open in all parts but the last.
	Outcome Outcome
	// EndLSN is what to acknowledge, with an outcome or a non-transactional message.
	EndLSN wal.LSN
	// EventCount is the number of events that the connection sent for the
	// transaction, with an outcome.
	EventCount uint64
	// RolledBackXIDs are subtransactions of a streamed transaction to forget.
	RolledBackXIDs tuple.Numbers
	// Snapshot of READ batches, nil for others.
	Snapshot *wal.Snapshot

	schemas *schema.Cache
	raw     []byte
	source  []byte    // serialized Source, nil if absent
	latest  []byte    // the one that the connection had last, nil if not of one
	events  []byte    // from the first event to the end of the last
	outside [2][]byte // all fields that are no events, and no events unless those stand apart
	n       int
	unknown int
	scratch wal.Snapshot
	skip    []int               // places of events to leave out
	void    map[uint32]struct{} // subtransactions whose events to leave out
	walked  walked
	// Transaction has more than the bytes have: it was not known yet when they came.
	completed bool
	metadata  []MetadataEntry

	inflated  []byte      // what was compressed
	announced []announced // versions of the batch's schemas
	versions  versions    // of the connection, as of the batch; nil: not of one
}

// Transaction that a batch belongs to.
type Transaction struct {
	// XID is the top-level transaction id. It wraps around: never an identity.
	XID uint32
	// FirstLSN is where the transaction's first record starts.
	FirstLSN wal.LSN
	// CommitLSN is where the commit record starts; 0 until it is known.
	CommitLSN wal.LSN
	// CommitTimeUS counts microseconds since 1970-01-01 UTC; 0 until it is known.
	CommitTimeUS int64
	// Origin is the name of the replication origin, empty for local transactions.
	Origin string
	// GID of a two-phase commit.
	GID string
	// PrepareLSN of a two-phase commit.
	PrepareLSN wal.LSN
	// Metadata of the transaction, sorted by key; complete in the last part.
	// Anyone who can connect can write it: never a basis for authorization.
	Metadata []MetadataEntry
}

// CommitTime is CommitTimeUS as a time in UTC, the zero Time if not known.
func (t *Transaction) CommitTime() time.Time {
	if t.CommitTimeUS == 0 {
		return time.Time{}
	}
	return time.UnixMicro(t.CommitTimeUS).UTC()
}

// MetadataEntry is made with cdc.set_metadata().
type MetadataEntry struct{ Key, Value string }

// Fields of the messages, by number.
const (
	batchTransaction = 1
	batchPart        = 2
	batchOutcome     = 3
	batchEndLSN      = 4
	batchEventCount  = 5
	batchSchemas     = 6
	batchEvents      = 7
	batchRolledBack  = 8
	batchSource      = 9
	batchCodec       = 10
	batchCompressed  = 11
	batchRawSize     = 12
	batchSnapshot    = 13
)

// ParseBatch parses the bytes of a batch and adds its schemas to the cache. Its
// events are checked when they are walked over.
func ParseBatch(raw []byte, schemas *schema.Cache) (*Batch, error) {
	b := new(Batch)
	return b, b.Parse(raw, schemas)
}

// Parse is ParseBatch into a Batch that may have been used before.
func (b *Batch) Parse(raw []byte, schemas *schema.Cache) error {
	inside, err := b.parse(raw, schemas)
	if err != nil || inside.data == nil {
		return err
	}
	if b.inflated, err = inside.inflate(b.inflated, schemas.Limits()); err != nil {
		return err
	}
	inside, err = b.parse(b.inflated, schemas)
	if err == nil && inside.data != nil {
		err = fault.Damaged("compressed batch is in a compressed batch")
	}
	return err
}

// parse takes in a batch, and tells of one that is compressed in it.
func (b *Batch) parse(raw []byte, schemas *schema.Cache) (inside compressed, err error) {
	*b = Batch{schemas: schemas, raw: raw, metadata: b.metadata[:0], announced: b.announced[:0], inflated: b.inflated}
	if len(raw) > schemas.Limits().MaxBatchBytes {
		return inside, fault.Damaged("batch is larger than the limit")
	}
	first, end, at := -1, 0, 0
	apart := false
	c := wire.Over(raw)
	for c.Next() {
		f := &c.Field
		switch f.Number {
		case batchEvents:
			if f.Type != wire.Len {
				return inside, fault.DamagedBy("batch", wire.ErrType)
			}
			if first < 0 {
				first, end = at, at
			}
			apart = apart || at != end
			b.n++
			end = at + len(f.Raw)
			b.events = raw[first:end]
		case batchCodec:
			inside.codec = f.Uint
		case batchRawSize:
			inside.size = f.Uint
		case batchCompressed:
			if f.Type != wire.Len {
				return inside, fault.DamagedBy("batch", wire.ErrType)
			}
			inside.data = f.Bytes
		default:
			if err := b.field(f); err != nil {
				return inside, err
			}
		}
		at += len(f.Raw)
	}
	if c.Err() != nil {
		return inside, fault.DamagedBy("batch", c.Err())
	}
	b.Transaction.Metadata = b.metadata
	b.outside[0] = raw
	if first >= 0 && !apart {
		b.outside = [2][]byte{raw[:first], raw[end:]}
	}
	return inside, nil
}

// field takes in any field but an event.
func (b *Batch) field(f *wire.Field) error {
	var want wire.Type
	var err error
	switch f.Number {
	case batchTransaction:
		want, b.HasTransaction = wire.Len, true
		err = b.transaction(f.Bytes)
	case batchPart:
		b.Part = uint32(f.Uint)
	case batchOutcome:
		b.Outcome = Outcome(f.Uint)
	case batchEndLSN:
		want, b.EndLSN = wire.Fixed64, wal.LSN(f.Uint)
	case batchEventCount:
		b.EventCount = f.Uint
	case batchSchemas:
		want = wire.Len
		err = b.schema(f.Bytes)
	case batchRolledBack:
		if err = addNumbers(&b.RolledBackXIDs, f); err == nil {
			return nil
		}
	case batchSource:
		want, b.source = wire.Len, f.Bytes
	case batchSnapshot:
		want = wire.Len
		err = b.snapshot(f.Bytes)
	default:
		b.unknown++
		return nil
	}
	if f.Type != want {
		err = wire.ErrType
	}
	if err == nil || fault.IsDamage(err) {
		return err
	}
	return fault.DamagedBy("batch", err)
}

func (b *Batch) transaction(raw []byte) error {
	t := &b.Transaction
	c := wire.Over(raw)
	for c.Next() {
		f := &c.Field
		var want wire.Type
		switch f.Number {
		case 1:
			t.XID = uint32(f.Uint)
		case 2:
			want, t.FirstLSN = wire.Fixed64, wal.LSN(f.Uint)
		case 3:
			want, t.CommitLSN = wire.Fixed64, wal.LSN(f.Uint)
		case 4:
			want, t.CommitTimeUS = wire.Fixed64, int64(f.Uint)
		case 5:
			want, t.Origin = wire.Len, string(f.Bytes)
		case 6:
			want, t.GID = wire.Len, string(f.Bytes)
		case 7:
			want = wire.Len
			entry, err := metadataEntry(f.Bytes)
			if err != nil {
				return err
			}
			b.metadata = append(b.metadata, entry)
		case 8:
			want, t.PrepareLSN = wire.Fixed64, wal.LSN(f.Uint)
		default:
			b.unknown++
			continue
		}
		if f.Type != want {
			return wire.ErrType
		}
	}
	return c.Err()
}

func metadataEntry(raw []byte) (e MetadataEntry, err error) {
	c := wire.Over(raw)
	for c.Next() {
		if c.Field.Number > 2 {
			continue
		}
		if c.Field.Type != wire.Len {
			return e, wire.ErrType
		}
		if c.Field.Number == 1 {
			e.Key = string(c.Field.Bytes)
		} else {
			e.Value = string(c.Field.Bytes)
		}
	}
	return e, c.Err()
}

func (b *Batch) schema(raw []byte) error {
	f, table, version, err := schemaVersion(raw)
	if err == nil {
		_, err = b.schemas.Add(f, table)
	}
	b.announced = append(b.announced, announced{f, version})
	return err
}

func schemaVersion(raw []byte) (f schema.Fingerprint, table []byte, version schema.Version, err error) {
	c := wire.Over(raw)
	for c.Next() {
		switch c.Field.Number {
		case 1:
			if c.Field.Type != wire.Fixed64 {
				return f, table, version, wire.ErrType
			}
			f = schema.Fingerprint(c.Field.Uint)
		case 2:
			if c.Field.Type != wire.Len {
				return f, table, version, wire.ErrType
			}
			table = c.Field.Bytes
		case 3:
			if c.Field.Type != wire.Varint {
				return f, table, version, wire.ErrType
			}
			version.Major = uint32(c.Field.Uint)
		case 4:
			if c.Field.Type != wire.Len {
				return f, table, version, wire.ErrType
			}
			version.Unmapped = string(c.Field.Bytes)
		}
	}
	return f, table, version, c.Err()
}

// walked is what a walk over all events has found.
type walked struct {
	done bool
	last wal.Position
	ddl  bool
}

// Walked notes what a walk over all events has found, so that an Assembler need not walk, too: the position
// of the last one that is not left out, and whether there are changes of schemas.
func (b *Batch) Walked(last wal.Position, schemaChanges bool) {
	b.walked = walked{true, last, schemaChanges}
}

// Announced are the tables whose schemas came with the batch, in their order there.
func (b *Batch) Announced() (tables []*schema.Table) {
	for _, a := range b.announced {
		if t := b.schemas.Find(a.fingerprint); t != nil {
			tables = append(tables, t)
		}
	}
	return tables
}

// Raw is the batch as it came, or was inside of a compressed one. Pass on these bytes rather than encode anew,
// which would lose what a newer server has added.
func (b *Batch) Raw() []byte { return b.raw }

// Len is the number of events.
func (b *Batch) Len() int { return b.n }

// Schemas is the cache that the batch's schemas are in.
func (b *Batch) Schemas() *schema.Cache { return b.schemas }

// Ends tells whether something may be acknowledged after this batch: a
// transaction has ended, or it is a non-transactional message.
func (b *Batch) Ends() bool {
	return b.EndLSN != 0 && (b.Outcome != OutcomeOpen || !b.HasTransaction)
}

// UnknownFields is the number of fields of the batch's header that this version
// does not know.
func (b *Batch) UnknownFields() int { return b.unknown }
