package cdc_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

// streamedPart makes part n of a streamed transaction, with an event by each subxid.
func streamedPart(xid, n uint32, outcome cdc.Outcome, count int, subxids ...uint32) *cdcv1.Batch {
	b := &cdcv1.Batch{Transaction: &cdcv1.Transaction{Xid: xid, FirstLsn: 0x100}, Part: n, Outcome: outcome}
	for i, subxid := range subxids {
		b.Events = append(b.Events, &cdcv1.ChangeEvent{Op: cdc.OpMessage, Index: uint32(i), LsnOffset: uint64(n), Subxid: subxid,
			Message: &cdcv1.Message{Prefix: fmt.Sprint(subxid), Content: bytes.Repeat([]byte("x"), 1000)}})
	}
	if outcome != cdc.OutcomeOpen {
		b.EventCount, b.EndLsn, b.Transaction.CommitLsn = uint64(count), 0x500, 0x400
	}
	return b
}

type assembling struct {
	t       *testing.T
	schemas *cdc.SchemaCache
	*cdc.Assembler
}

func assemble(t *testing.T, config cdc.AssemblerConfig) *assembling {
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	a, err := cdc.NewAssembler(config, schemas)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return &assembling{t, schemas, a}
}

func (a *assembling) add(m *cdcv1.Batch) (*cdc.Txn, error) {
	a.t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		a.t.Fatal(err)
	}
	b, err := cdc.ParseBatch(raw, a.schemas)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.Add(b)
}

// must adds batches of which only the last one may end a transaction.
func (a *assembling) must(list ...*cdcv1.Batch) *cdc.Txn {
	a.t.Helper()
	for i, m := range list {
		txn, err := a.add(m)
		if err != nil {
			a.t.Fatal(err)
		}
		if i == len(list)-1 {
			return txn
		}
		if txn != nil {
			a.t.Fatal("a transaction that has not ended")
		}
	}
	return nil
}

func prefixes(t *testing.T, txn *cdc.Txn) string {
	t.Helper()
	out := ""
	for e, err := range txn.Events() {
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Message()
		if err != nil {
			t.Fatal(err)
		}
		if e.Position().CommitLSN != txn.CommitLSN {
			t.Error("position without the commit", e.Position())
		}
		out += m.Prefix + " "
	}
	return out
}

func TestAssembler(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	for name, config := range map[string]cdc.AssemblerConfig{
		"memory": {}, "disk": {MemoryBytes: 1500}, "encrypted": {MemoryBytes: 1500, Key: key},
	} {
		t.Run(name, func(t *testing.T) {
			config.Dir = t.TempDir()
			a := assemble(t, config)
			void := streamedPart(1, 2, cdc.OutcomeOpen, 0)
			void.RolledBackXids = []uint32{11, 99}
			txn := a.must(
				streamedPart(1, 0, cdc.OutcomeOpen, 0, 1, 11),
				streamedPart(2, 0, cdc.OutcomeOpen, 0, 2),
				streamedPart(1, 1, cdc.OutcomeOpen, 0, 11, 12),
				void,
				streamedPart(1, 3, cdc.OutcomeOpen, 0, 1),
				streamedPart(1, 4, cdc.OutcomeCommitted, 5))
			if got := prefixes(t, txn); got != "1 12 1 " {
				t.Errorf("%q", got)
			}
			if left, _ := os.ReadDir(config.Dir); len(left) != 0 {
				t.Error("files are left behind", left)
			}
			txn.Close()
			if txn := a.must(streamedPart(2, 1, cdc.OutcomeRolledBack, 1)); txn.Outcome != cdc.OutcomeRolledBack || prefixes(t, txn) != "" {
				t.Error("rolled back:", txn.Outcome, prefixes(t, txn))
			}
			// part 0 again: forget
			txn = a.must(streamedPart(3, 0, cdc.OutcomeOpen, 0, 3, 3), streamedPart(3, 0, cdc.OutcomeOpen, 0, 33), streamedPart(3, 1, cdc.OutcomeCommitted, 1))
			if got := prefixes(t, txn); got != "33 " {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestAssemblerFindsLoss(t *testing.T) {
	for name, list := range map[string][]*cdcv1.Batch{
		"gap":         {streamedPart(1, 0, cdc.OutcomeOpen, 0, 1), streamedPart(1, 2, cdc.OutcomeOpen, 0, 1)},
		"no part 0":   {streamedPart(1, 1, cdc.OutcomeOpen, 0, 1)},
		"wrong count": {streamedPart(1, 0, cdc.OutcomeOpen, 0, 1), streamedPart(1, 1, cdc.OutcomeCommitted, 2)},
		"twice":       {streamedPart(1, 0, cdc.OutcomeOpen, 0, 1), streamedPart(1, 1, cdc.OutcomeOpen, 0, 1), streamedPart(1, 1, cdc.OutcomeOpen, 0, 1)},
	} {
		a := assemble(t, cdc.AssemblerConfig{})
		var err error
		for _, m := range list {
			_, err = a.add(m)
		}
		if !errors.Is(err, cdc.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// After a connection has ended nothing of its unfinished transactions is left.
	a := assemble(t, cdc.AssemblerConfig{})
	a.must(streamedPart(1, 0, cdc.OutcomeOpen, 0, 1))
	a.Reset()
	if _, err := a.add(streamedPart(1, 1, cdc.OutcomeCommitted, 1)); !errors.Is(err, cdc.ErrDamaged) {
		t.Error(err)
	}
}

func twoPhase(m *cdcv1.Batch) *cdcv1.Batch {
	m.Transaction.Gid, m.Transaction.PrepareLsn = "g", 0x300
	if m.Outcome == cdc.OutcomePrepared {
		m.Transaction.CommitLsn = 0
	}
	return m
}

func TestAssemblerTwoPhase(t *testing.T) {
	prepared := func() *cdcv1.Batch { return twoPhase(streamedPart(1, 0, cdc.OutcomePrepared, 2, 1, 1)) }
	committed := twoPhase(streamedPart(1, 0, cdc.OutcomeCommitted, 0))
	a := assemble(t, cdc.AssemblerConfig{MemoryBytes: 100})
	if txn := a.must(prepared()); txn != nil {
		t.Fatal("given before it is committed")
	}
	a.Reset() // prepared ones survive
	if txn := a.must(committed); prefixes(t, txn) != "1 1 " || txn.CommitLSN != 0x400 || txn.GID != "g" {
		t.Error(txn.CommitLSN, prefixes(t, txn))
	}
	if txn := a.must(committed); prefixes(t, txn) != "" || txn.Outcome != cdc.OutcomeCommitted {
		t.Error("of a gid that is not known:", txn)
	}
	a.must(prepared())
	if txn := a.must(twoPhase(streamedPart(1, 0, cdc.OutcomeRolledBack, 0))); prefixes(t, txn) != "" {
		t.Error("rolled back")
	}
	a = assemble(t, cdc.AssemblerConfig{DeliverPrepared: true})
	if txn := a.must(prepared()); txn.Outcome != cdc.OutcomePrepared || prefixes(t, txn) != "1 1 " {
		t.Error("not given when it is prepared")
	}
	if txn := a.must(committed); txn.Outcome != cdc.OutcomeCommitted || prefixes(t, txn) != "" {
		t.Error("committed")
	}
}
