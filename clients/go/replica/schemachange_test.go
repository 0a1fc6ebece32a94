package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
)

// script makes transactions by hand and applies them.
type script struct {
	t       *testing.T
	state   State
	applier *Applier
	schemas *schema.Cache
	batch   *cdcv1.Batch
	lsn     uint64
	topics  *TopicApplier // by messages of a topic
}

// plainState is a State that cannot rename.
type plainState struct{ State }

func newScript(t *testing.T, state State) *script {
	return &script{t: t, state: state, applier: NewApplier(state), schemas: schema.NewCache(schema.Limits{}), lsn: 0x1000, batch: &cdcv1.Batch{}}
}

// table makes a schema of public.NAME with columns that have these names, of type text; a star
// marks those of the key.
func (s *script) table(name string, columns ...string) uint64 {
	m := &cdcv1.Table{Schema: "public", Name: name, ReplicaIdentity: schema.IdentityFull}
	for i, c := range columns {
		m.Columns = append(m.Columns, &cdcv1.Column{Number: uint32(i + 1), Name: strings.TrimPrefix(c, "*"), Type: value.TypeText,
			PgType: "pg_catalog.text", Key: c[0] == '*'})
	}
	return s.add(m)
}

func (s *script) add(m *cdcv1.Table) uint64 {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		s.t.Fatal(err)
	}
	f := uint64(schema.FingerprintOf(raw))
	s.batch.Schemas = append(s.batch.Schemas, &cdcv1.SchemaVersion{Fingerprint: f, Table: raw})
	return f
}

func texts(from uint32, values ...string) (row tuple.Row) {
	for i, v := range values {
		row = wire.AppendLen(row, from+uint32(i), []byte(v))
	}
	return row
}

func (s *script) event(e *cdcv1.ChangeEvent) *script {
	e.LsnOffset = uint64(len(s.batch.Events))
	s.batch.Events = append(s.batch.Events, e)
	return s
}

// row inserts one, whose first column is the key.
func (s *script) row(table uint64, values ...string) *script {
	return s.event(&cdcv1.ChangeEvent{Op: change.OpInsert, Schema: table, Key: texts(1, values[0]), New: texts(2, values[1:]...)})
}

// loose inserts a row of a table without a key.
func (s *script) loose(table uint64, values ...string) *script {
	return s.event(&cdcv1.ChangeEvent{Op: change.OpInsert, Schema: table, New: texts(1, values...)})
}

func (s *script) ddl(kind change.SchemaChangeKind, table uint64, former string) *script {
	m := &cdcv1.SchemaChange{Kind: kind, CommandTag: "x"}
	if former != "" {
		m.FormerSchema, m.FormerName = "public", former
	}
	return s.event(&cdcv1.ChangeEvent{Op: change.OpSchema, Schema: table, SchemaChange: m})
}

// apply makes a transaction of what there is, and applies it.
func (s *script) apply() error {
	b := s.batch
	s.batch, s.lsn = &cdcv1.Batch{}, s.lsn+0x1000
	b.Transaction = &cdcv1.Transaction{Xid: 7, FirstLsn: s.lsn, CommitLsn: s.lsn + 0x800}
	b.Outcome, b.EndLsn, b.EventCount = change.OutcomeCommitted, s.lsn+0x900, uint64(len(b.Events))
	raw, err := proto.Marshal(b)
	if err != nil {
		return err
	}
	batch, err := change.ParseBatch(raw, s.schemas)
	if err != nil {
		return err
	}
	assembler, err := change.NewAssembler(change.AssemblerConfig{}, s.schemas)
	if err != nil {
		return err
	}
	txn, err := assembler.Add(batch)
	if err != nil {
		return err
	}
	for range 2 { // the second time it is known
		if s.topics != nil {
			if err := s.applyMessages(batch); err != nil {
				return err
			}
			continue
		}
		if err := s.applier.Apply(context.Background(), txn); err != nil {
			return err
		}
	}
	return nil
}

// holds applies, and sees to it that relations have these rows: "public.t: a,b c,d"; no colon:
// there is none of the name.
func (s *script) holds(want ...string) {
	s.t.Helper()
	if err := s.apply(); err != nil {
		s.t.Fatal(err)
	}
	for _, w := range want {
		relation, _, _ := strings.Cut(w, ":")
		if got := s.contents(relation); got != w {
			s.t.Errorf("got %q, want %q", got, w)
		}
	}
}

func (s *script) contents(relation string) string {
	s.t.Helper()
	name := relation
	if s.topics != nil {
		relation += "@CDC"
	}
	held, err := s.state.Schema(context.Background(), relation)
	if err != nil {
		s.t.Fatal(err)
	}
	var rows []string
	err = s.state.Scan(context.Background(), relation, func(_ []byte, row tuple.Row) error {
		var values []string
		c := row.Values()
		for c.Next() {
			values = append(values, string(c.Value().Bytes))
		}
		rows = append(rows, strings.Join(values, ","))
		return c.Err()
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(held) == 0 && len(rows) == 0 {
		return name
	}
	slices.Sort(rows)
	return strings.TrimSuffix(fmt.Sprintf("%s: %s", name, strings.Join(rows, " ")), " ")
}

// everyState runs a test on one that can rename, and on one that cannot.
func everyState(t *testing.T, f func(s *script)) {
	t.Run("renamer", func(t *testing.T) { f(newScript(t, NewMemoryState())) })
	t.Run("plain", func(t *testing.T) { f(newScript(t, plainState{NewMemoryState()})) })
	t.Run("topics", func(t *testing.T) {
		s := newScript(t, NewMemoryState())
		s.topics = NewTopicApplier(s.state)
		f(s)
	})
}

func TestRenamed(t *testing.T) {
	everyState(t, func(s *script) {
		s.row(s.table("a", "*id", "v"), "1", "x").row(s.table("b", "*id", "v"), "2", "y").holds("public.a: 1,x", "public.b: 2,y")
		s.ddl(change.SchemaAltered, s.table("c", "*id", "v"), "a").holds("public.a", "public.c: 1,x")
		// Two swap their names by a third one, with rows between.
		c, b := s.table("c", "*id", "v"), s.table("b", "*id", "v")
		s.row(c, "3", "c").ddl(change.SchemaAltered, s.table("t", "*id", "v"), "c").ddl(change.SchemaAltered, c, "b").row(c, "4", "was b").
			ddl(change.SchemaAltered, b, "t").row(b, "5", "was c").
			holds("public.t", "public.c: 2,y 4,was b", "public.b: 1,x 3,c 5,was c")
		// To a name that a leftover has, and where nothing is held.
		s.ddl(change.SchemaAltered, s.table("b", "*id", "v"), "c").holds("public.c", "public.b: 2,y 4,was b")
		s.ddl(change.SchemaAltered, s.table("b", "*id", "v"), "unknown").holds("public.b:", "public.unknown")
		s.ddl(change.SchemaAltered, s.table("B", "*id", "v", "w"), "b").row(s.table("B", "*id", "v", "w"), "1", "2", "3").holds("public.b", `public."B": 1,2,3`)
	})
}

func TestDroppedAndMade(t *testing.T) {
	everyState(t, func(s *script) {
		a := s.table("a", "*id", "v")
		s.ddl(change.SchemaCreated, a, "").holds("public.a:")
		s.row(s.table("a", "*id", "v"), "1", "x").holds("public.a: 1,x")
		s.ddl(change.SchemaDropped, 0, "a").holds("public.a")
		// Made anew under the name, with rows of before and after in the same transaction.
		a = s.table("a", "*id", "v")
		s.row(a, "1", "old").ddl(change.SchemaDropped, 0, "a").ddl(change.SchemaCreated, a, "").row(a, "2", "new").holds("public.a: 2,new")
		// By CREATE TABLE AS rows come first. What is left under the name is none of theirs.
		if s.topics != nil { // where an event does not know the rest of its transaction, that must be said
			s.ddl(change.SchemaDropped, 0, "a")
		}
		a = s.table("a", "*id", "v")
		s.row(a, "3", "as").row(a, "4", "as").ddl(change.SchemaCreated, a, "").row(a, "5", "later").holds("public.a: 3,as 4,as 5,later")
		a = s.table("a", "*id", "v")
		s.row(a, "6", "x").ddl(change.SchemaDropped, 0, "a").row(a, "7", "as").ddl(change.SchemaCreated, a, "").holds("public.a: 7,as")
		a = s.table("a", "*id", "v")
		s.row(a, "8", "x").ddl(change.SchemaAltered, s.table("b", "*id", "v"), "a").row(a, "9", "as").ddl(change.SchemaCreated, a, "").
			holds("public.a: 9,as", "public.b: 7,as 8,x")
		s.ddl(change.SchemaCreated, s.table("a", "*other"), "").holds("public.a:")
	})
}

func TestLeftAndEntered(t *testing.T) {
	everyState(t, func(s *script) {
		a := s.table("a", "*id", "v")
		s.row(a, "1", "x").ddl(change.SchemaLeft, 0, "a").holds("public.a: 1,x")
		s.ddl(change.SchemaEntered, s.table("a", "*id", "v"), "").row(s.table("a", "*id", "v"), "2", "y").holds("public.a: 2,y")
		// SET LOGGED writes all rows before it is said.
		a = s.table("a", "*id", "v")
		s.ddl(change.SchemaLeft, 0, "a").holds("public.a: 2,y")
		s.event(&cdcv1.ChangeEvent{Op: change.OpRewrite, Schema: a, Key: texts(1, "3"), New: texts(2, "z"), RewriteStart: true}).
			ddl(change.SchemaEntered, s.table("a", "*id", "v"), "").holds("public.a: 3,z")
		s.ddl(change.SchemaLeft, 0, "a").ddl(change.SchemaEntered, s.table("a", "*id", "v"), "").holds("public.a:")
	})
}

func TestAltered(t *testing.T) {
	everyState(t, func(s *script) {
		s.ddl(change.SchemaAltered, s.table("new", "*id"), "").holds("public.new:")
		s.row(s.table("a", "*id", "v", "w"), "1", "x", "y").row(s.table("a", "*id", "v", "w"), "2", "x", "z").holds("public.a: 1,x,y 2,x,z")
		s.ddl(change.SchemaAltered, s.table("a", "*id", "v"), "").holds("public.a: 1,x 2,x")
		// Another key, none, and one again: rows are found by it.
		plain := s.table("a", "id", "v")
		s.ddl(change.SchemaAltered, plain, "").loose(plain, "1", "x").
			event(&cdcv1.ChangeEvent{Op: change.OpDelete, Schema: plain, Old: texts(1, "2", "x")}).holds("public.a: 1,x 1,x")
		plain = s.table("a", "id", "v")
		keyed := s.table("a", "*id", "v")
		s.event(&cdcv1.ChangeEvent{Op: change.OpDelete, Schema: plain, Old: texts(1, "1", "x")}).ddl(change.SchemaAltered, keyed, "").
			event(&cdcv1.ChangeEvent{Op: change.OpUpdate, Schema: keyed, Key: texts(1, "1"), New: texts(2, "new")}).holds("public.a: 1,new")
		// A rewrite comes before it is said; types of which only the values read otherwise change nothing.
		f := s.table("a", "*id", "v", "r")
		s.event(&cdcv1.ChangeEvent{Op: change.OpRewrite, Schema: f, Key: texts(1, "1"), New: texts(2, "new", "r"), RewriteStart: true}).
			ddl(change.SchemaAltered, f, "").ddl(change.SchemaAltered, f, "").holds("public.a: 1,new,r")
	})
}

// A conversion that there is none of does no harm to a table without rows, and is an error
// where there are some.
func TestAlteredType(t *testing.T) {
	for _, rows := range []bool{false, true} {
		s := newScript(t, NewMemoryState())
		a := s.table("a", "*id", "v")
		if s.ddl(change.SchemaCreated, a, ""); rows {
			s.row(a, "1", "x")
		}
		s.holds()
		s.ddl(change.SchemaAltered, s.add(&cdcv1.Table{Schema: "public", Name: "a", Columns: []*cdcv1.Column{
			{Number: 1, Name: "id", Type: value.TypeText, PgType: "pg_catalog.text", Key: true},
			{Number: 2, Name: "v", Type: value.TypeInt32, PgType: "pg_catalog.int4"}}}), "")
		if err := s.apply(); errors.Is(err, errConversion) != rows || !rows && err != nil {
			t.Errorf("%v: %v", rows, err)
		}
	}
}

// An operation that is not known stops an Applier: it cannot know what it would miss.
func TestUnknownOperation(t *testing.T) {
	s := newScript(t, NewMemoryState())
	s.event(&cdcv1.ChangeEvent{Op: change.OpSchema + 1, Schema: s.table("a", "*id")})
	if err := s.apply(); err == nil {
		t.Error("no error")
	}
}
