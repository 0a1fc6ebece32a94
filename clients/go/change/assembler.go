package change

import (
	"cmp"
	"crypto/cipher"
	"fmt"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/acks"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// AssemblerConfig says where transactions are kept until they end.
type AssemblerConfig struct {
	// MemoryBytes is how much is kept in memory, of all transactions together.
	// What is beyond goes to files. Default 64 MiB.
	MemoryBytes int
	// Dir of the files; default: the system's for temporary files.
	Dir string
	// Key encrypts the files with AES-256-GCM: 32 bytes, or none.
	Key []byte
	// DeliverPrepared gives prepared transactions when they are prepared, and their
	// outcome as a transaction without events; acknowledging a prepared one says
	// that it is durable with the consumer. Without it they are given when they are
	// committed, and until then nothing from the prepare on is acknowledged to the
	// server, which keeps the WAL.
	DeliverPrepared bool
}

// Assembler puts together transactions from their parts, which may come before
// the commit is known, interleaved, and rolled back in part or in whole. It is
// not safe for concurrent use.
type Assembler struct {
	config   AssemblerConfig
	schemas  *schema.Cache
	aead     cipher.AEAD
	open     map[uint32]*Txn
	prepared map[string]*Txn
	memory   int
	tolerant bool
}

// NewAssembler makes an empty one. schemas is the cache that its batches were
// parsed with.
func NewAssembler(config AssemblerConfig, schemas *schema.Cache) (*Assembler, error) {
	aead, err := newAEAD(config.Key)
	if err != nil {
		return nil, err
	}
	config.MemoryBytes = cmp.Or(config.MemoryBytes, 64<<20)
	return &Assembler{config: config, schemas: schemas, aead: aead,
		open: map[uint32]*Txn{}, prepared: map[string]*Txn{}}, nil
}

// Add takes in a batch, whose bytes must not change afterwards. It gives the
// transaction that ends with it, if one does; a RolledBack one has no events.
// Gaps and wrong counts are damage.
func (a *Assembler) Add(b *Batch) (*Txn, error) { return a.Receive(b, nil) }

// Receive is Add for a batch that is acknowledged with the transaction: it is among its
// Receipts.
func (a *Assembler) Receive(b *Batch, r *acks.Receipt) (*Txn, error) {
	if !b.HasTransaction {
		return a.message(b, r)
	}
	header := &b.Transaction
	if b.Outcome != OutcomeOpen && b.Outcome != OutcomePrepared && header.GID != "" && b.Part == 0 && b.n == 0 && b.EventCount == 0 {
		return a.resolve(b, r), nil
	}
	t, err := a.find(b)
	if err != nil {
		return nil, err
	}
	t.add(b)
	a.memory += len(b.raw)
	if b.Outcome == OutcomeOpen {
		return nil, a.spill()
	}
	return a.end(t, b, r)
}

// message is a transaction of its own.
func (a *Assembler) message(b *Batch, r *acks.Receipt) (*Txn, error) {
	t := &Txn{schemas: a.schemas, Outcome: OutcomeCommitted, IsMessage: true}
	t.add(b)
	t.CommitLSN, t.EndLSN = t.last.CommitLSN, b.EndLSN
	t.keep(r)
	return t, nil
}

// find gives the open transaction that a batch continues or begins.
func (a *Assembler) find(b *Batch) (*Txn, error) {
	xid := b.Transaction.XID
	t := a.open[xid]
	if b.Part == 0 {
		a.drop(t) // it is sent again from its beginning
		t = nil
	} else if t == nil && !a.tolerant {
		return nil, fault.Missing("transaction %d begins with part %d", xid, b.Part)
	}
	if t == nil {
		t = &Txn{schemas: a.schemas, gap: b.Part != 0}
		a.open[xid] = t
	} else if b.Part != t.next {
		if !a.tolerant {
			return nil, fault.Missing("part %d of transaction %d comes after part %d", b.Part, xid, t.next-1)
		}
		t.gap = true
	}
	return t, nil
}

// add takes in a part.
func (t *Txn) add(b *Batch) {
	t.Transaction = b.Transaction
	t.Metadata = append([]MetadataEntry(nil), b.Transaction.Metadata...)
	t.next = b.Part + 1
	t.events += b.n
	b.RolledBackXIDs.Each(func(xid uint32) {
		if t.void == nil {
			t.void = map[uint32]struct{}{}
		}
		t.void[xid] = struct{}{}
	})
	if b.n > 0 {
		t.parts = append(t.parts, part{raw: b.raw, skip: b.skip, versions: b.versions, source: b.latest})
		t.bytes += len(b.raw)
		t.look(b)
	}
}

// look notes the position of a part's last event that can be read, and whether there are
// changes of schemas.
func (t *Txn) look(b *Batch) {
	if b.walked.done {
		t.last, t.ddl = b.walked.last, t.ddl || b.walked.ddl
		return
	}
	t.last = wal.Position{}
	for c := b.Events(); c.Next(); {
		t.last = c.event.Position()
		t.ddl = t.ddl || c.event.Op == OpSchema
	}
}

func (t *Txn) keep(r *acks.Receipt) {
	if r != nil {
		t.receipts = append(t.receipts, r)
	}
}

// end closes a transaction with its last part.
func (a *Assembler) end(t *Txn, b *Batch, r *acks.Receipt) (*Txn, error) {
	delete(a.open, t.XID)
	a.memory -= t.bytes
	if b.EventCount != uint64(t.events) && !t.gap && !a.tolerant {
		t.Close()
		return nil, fault.Missing("transaction %d has %d events, not %d", t.XID, t.events, b.EventCount)
	}
	t.finish(b, r)
	if b.Outcome == OutcomeRolledBack {
		t.Close()
	}
	if b.Outcome == OutcomePrepared && !a.config.DeliverPrepared {
		if earlier := a.prepared[t.GID]; earlier != nil {
			t.receipts = append(earlier.receipts, t.receipts...)
			a.forget(earlier)
		}
		a.prepared[t.GID] = t
		a.memory += t.bytes
		return nil, a.spill()
	}
	return t, nil
}

func (t *Txn) finish(b *Batch, r *acks.Receipt) {
	t.Outcome, t.EndLSN = b.Outcome, b.EndLSN
	if t.last.IsZero() {
		t.last.LSN = t.CommitLSN
	}
	t.last.CommitLSN = t.CommitLSN
	t.keep(r)
}

// resolve is the outcome of a prepared transaction, which may be one of which
// nothing was sent.
func (a *Assembler) resolve(b *Batch, r *acks.Receipt) *Txn {
	t := a.prepared[b.Transaction.GID]
	if t == nil {
		t = &Txn{schemas: a.schemas}
	} else {
		delete(a.prepared, b.Transaction.GID)
		a.memory -= t.bytes
	}
	prepare, first, metadata := t.PrepareLSN, t.FirstLSN, t.Metadata
	t.Transaction = b.Transaction
	t.PrepareLSN, t.FirstLSN = cmp.Or(t.PrepareLSN, prepare), cmp.Or(first, t.FirstLSN)
	if t.Metadata = append([]MetadataEntry(nil), b.Transaction.Metadata...); len(t.Metadata) == 0 {
		t.Metadata = metadata
	}
	t.finish(b, r)
	if b.Outcome == OutcomeRolledBack {
		t.Close()
	}
	return t
}

// spill writes the largest transactions to files until the rest is within the
// limit.
func (a *Assembler) spill() error {
	for a.memory > a.config.MemoryBytes {
		var largest *Txn
		for _, t := range a.open {
			if largest == nil || t.bytes > largest.bytes {
				largest = t
			}
		}
		for _, t := range a.prepared {
			if largest == nil || t.bytes > largest.bytes {
				largest = t
			}
		}
		if largest == nil || largest.bytes == 0 {
			return nil
		}
		a.memory -= largest.bytes
		if err := largest.toDisk(a.config.Dir, a.aead); err != nil {
			return fmt.Errorf("cdc: spilling a transaction: %w", err)
		}
	}
	return nil
}

func (t *Txn) toDisk(dir string, aead cipher.AEAD) (err error) {
	if t.spill == nil {
		if t.spill, err = newSpill(dir, aead); err != nil {
			return err
		}
	}
	for i := range t.parts {
		p := &t.parts[i]
		if p.raw == nil {
			continue
		}
		if p.file, err = t.spill.write(p.raw); err != nil {
			return err
		}
		p.raw = nil
	}
	t.bytes = 0
	return nil
}

// Reset forgets unfinished transactions: the connection has ended, and the server
// sends them again from part 0, or, if they were aborted meanwhile, not at all.
// Prepared ones stay.
func (a *Assembler) Reset() {
	for _, t := range a.open {
		a.drop(t)
	}
	a.tolerant = false
}

// Tolerate accepts gaps until the next Reset, since something was skipped.
func (a *Assembler) Tolerate() { a.tolerant = true }

func (a *Assembler) drop(t *Txn) {
	if t != nil {
		delete(a.open, t.XID)
		a.forget(t)
	}
}

func (a *Assembler) forget(t *Txn) {
	a.memory -= t.bytes
	t.Close()
}

// Close forgets everything and removes its files.
func (a *Assembler) Close() {
	a.Reset()
	for gid, t := range a.prepared {
		delete(a.prepared, gid)
		a.forget(t)
	}
}
