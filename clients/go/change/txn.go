package change

import (
	"iter"

	"github.com/pgcdc/cdc/clients/go/internal/acks"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// Txn is a transaction that has ended, with all of its events, or a logical
// message that stands outside of transactions.
type Txn struct {
	// Transaction has the commit's LSN and time and all metadata. Of a message
	// outside of transactions, CommitLSN is its LSN and the rest is zero.
	Transaction
	// Outcome is Committed; with AssemblerConfig.DeliverPrepared also Prepared, and
	// then RolledBack for what was delivered as Prepared.
	Outcome Outcome
	// EndLSN is what to acknowledge.
	EndLSN wal.LSN
	// IsMessage: a logical message outside of transactions.
	IsMessage bool

	schemas  *schema.Cache
	parts    []part
	bytes    int // of the parts in memory
	events   int // received, rolled back ones included
	next     uint32
	void     map[uint32]struct{} // subtransactions that were rolled back
	spill    *spill
	last     wal.Position
	ddl      bool // has changes of schemas
	gap      bool // something before is lost
	receipts []*acks.Receipt
}

// part is the bytes of a batch, in memory or in the file.
type part struct {
	raw      []byte
	file     spilled
	skip     []int
	versions versions
	source   []byte
}

// Len is the number of events that were received, including those that Events
// leaves out because their subtransaction was rolled back.
func (t *Txn) Len() int { return t.events }

// HasSchemaChanges tells whether some of the events are of type OpSchema; those count, too,
// that Events leaves out.
func (t *Txn) HasSchemaChanges() bool { return t.ddl }

// Receipts are what the stream that gave the transaction acknowledges with it.
func (t *Txn) Receipts() []*acks.Receipt { return t.receipts }

// Position of the transaction's last change.
func (t *Txn) Position() wal.Position { return t.last }

// Batches walks over the parts, each as a view that is valid until the next. They
// have the commit's LSN, time and metadata.
func (t *Txn) Batches() iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		var b Batch
		for i := range t.parts {
			err := t.load(&b, &t.parts[i])
			if !yield(&b, err) || err != nil {
				return
			}
		}
	}
}

func (t *Txn) load(b *Batch, p *part) (err error) {
	raw := p.raw
	if raw == nil {
		if raw, err = t.spill.read(p.file); err != nil {
			return err
		}
	}
	if err := b.Parse(raw, t.schemas); err != nil {
		return err
	}
	b.skip, b.versions, b.latest = p.skip, p.versions, p.source
	b.void = t.void
	if b.HasTransaction {
		first := b.Transaction.FirstLSN
		b.completed = b.Transaction.CommitLSN != t.CommitLSN
		b.Transaction = t.Transaction
		b.Transaction.FirstLSN = first
	}
	return nil
}

// Events walks over the transaction's events in the order of the changes. An
// event is valid until the next one. An error ends the walk: nothing of the
// transaction may then be taken for dealt with.
func (t *Txn) Events() iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		for b, err := range t.Batches() {
			if err != nil {
				yield(nil, err)
				return
			}
			c := b.Events()
			for c.Next() {
				if !yield(c.Event(), nil) {
					return
				}
			}
			if c.Err() != nil {
				yield(nil, c.Err())
				return
			}
		}
	}
}

// Close frees what the transaction holds. Stream.Ack does it.
func (t *Txn) Close() {
	if t.spill != nil {
		t.spill.close()
		t.spill = nil
	}
	t.parts = nil
}
