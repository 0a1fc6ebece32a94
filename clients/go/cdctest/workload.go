package cdctest

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

// Table gives the schema of the tables that a synthetic workload has: a text key
// id and a text value.
func Table(schema, name string) (cdc.Fingerprint, []byte) {
	table, err := proto.MarshalOptions{Deterministic: true}.Marshal(&cdcv1.Table{
		Schema: schema, Name: name, ReplicaIdentity: cdc.IdentityDefault,
		Columns: []*cdcv1.Column{
			{Number: 1, Name: "id", Type: cdc.TypeText, PgType: "pg_catalog.text", Key: true, NotNull: true},
			{Number: 2, Name: "value", Type: cdc.TypeText, PgType: "pg_catalog.text"},
		},
	})
	if err != nil {
		panic(err) // a constant message
	}
	return cdc.FingerprintOf(table), table
}

// Transaction is one to be encoded by hand: fill in what a test needs.
func (s *Source) Transaction() *cdcv1.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.xid++
	first := s.next
	s.next += 0x200
	return &cdcv1.Batch{
		Transaction: &cdcv1.Transaction{
			Xid: s.xid, FirstLsn: uint64(first), CommitLsn: uint64(first + 0x100),
			CommitTime: time.Now().UnixMicro(),
		},
		Outcome: cdcv1.Outcome_OUTCOME_COMMITTED,
		EndLsn:  uint64(first + 0x130),
		Source: &cdcv1.Source{SystemIdentifier: 1, Timeline: 1, Database: "test", Slot: "test",
			PluginVersion: "1.0", ServerVersion: 150020},
	}
}

// Add adds a batch made by hand.
func (s *Source) Add(b *cdcv1.Batch) {
	raw, err := proto.Marshal(b)
	if err != nil {
		panic(fmt.Sprintf("cdctest: a batch that cannot be encoded: %v", err))
	}
	s.AddBatch(raw, cdc.LSN(b.EndLsn))
}

// Insert adds a transaction with an INSERT of each id, whose value is the same.
func (s *Source) Insert(schema, table string, ids ...string) {
	b := s.Transaction()
	fingerprint, bytes := Table(schema, table)
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: bytes}}
	for i, id := range ids {
		b.Events = append(b.Events, &cdcv1.ChangeEvent{
			Op: cdc.OpInsert, LsnOffset: uint64(i), Schema: uint64(fingerprint),
			Key: wire.AppendLen(nil, 1, []byte(id)), New: wire.AppendLen(nil, 2, []byte(id)),
		})
	}
	b.EventCount = uint64(len(ids))
	s.Add(b)
}
