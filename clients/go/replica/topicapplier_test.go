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
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/topic"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// applyMessages applies the events of a batch one by one, as messages of a stream.
func (s *script) applyMessages(b *change.Batch) error {
	c := b.Events()
	for c.Next() {
		e := c.Event()
		r := single(e, "CDC")
		m, err := topic.NewReader(s.schemas).Read(r)
		if err == nil {
			err = s.topics.Apply(context.Background(), m)
		}
		if err == nil {
			err = s.topics.Commit(context.Background())
		}
		if err != nil {
			return err
		}
	}
	return c.Err()
}

// single is the record of an event.
func single(e *change.Event, stream string) *topic.Record {
	value, err := e.AppendSingle(nil, nil)
	if err != nil {
		panic(err)
	}
	r := &topic.Record{Stream: stream, Topic: "t", Value: value, Key: e.Key}
	r.Headers = []topic.Header{{Name: topic.HeaderPosition, Value: e.Position().String()}, {Name: topic.HeaderOp, Value: opText(e.Op)},
		{Name: topic.HeaderSource, Value: "7/1/shop/s"}}
	return r
}

func opText(op change.Op) string { return strings.TrimPrefix(op.String(), "OP_") }

// lane is one partition of a topic in a test: what a relay has written to it.
type lane struct {
	records []*topic.Record
	next    int
}

// wire is a topic with partitions, and a TopicApplier that reads it.
type topicWire struct {
	t       *testing.T
	name    string
	lanes   []lane
	state   *MemoryState
	applier *TopicApplier
	reader  *topic.Reader
	schemas map[uint64][]byte
	commit  uint64
	xid     uint32
	logged  wal.Position // of the last change before what is read
}

func newTopicWire(t *testing.T, partitions int) *topicWire {
	state := NewMemoryState()
	return &topicWire{t: t, name: "cdc.public.t", lanes: make([]lane, partitions), state: state, applier: NewTopicApplier(state),
		reader: topic.NewReader(schema.NewCache(schema.Limits{})), schemas: map[uint64][]byte{}, commit: 0x1000, xid: 700}
}

// table makes a schema.
func (w *topicWire) table(m *cdcv1.Table) uint64 {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	f := uint64(schema.FingerprintOf(raw))
	w.schemas[f] = raw
	return f
}

// partition of a key.
func (w *topicWire) partition(key []byte) int {
	n := 0
	for _, b := range key {
		n = n*31 + int(b)
	}
	return n % len(w.lanes)
}

// begin begins a transaction.
func (w *topicWire) begin() { w.commit, w.xid = w.commit+0x1000, w.xid+1 }

// send writes a message of an event to a partition.
func (w *topicWire) send(partition int, e *cdcv1.ChangeEvent, key []byte, role string, headers ...topic.Header) {
	w.t.Helper()
	b := &cdcv1.Batch{Events: []*cdcv1.ChangeEvent{e}}
	if e.Schema != 0 {
		b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: e.Schema, Table: w.schemas[e.Schema]}}
	}
	position := w.logged
	if e.Op == change.OpRead {
		b.Snapshot = &cdcv1.Snapshot{Xmin: uint64(w.xid) + 1, Xmax: uint64(w.xid) + 1}
	} else {
		b.Transaction = &cdcv1.Transaction{Xid: w.xid, FirstLsn: w.commit - 0x800, CommitLsn: w.commit}
		position = wal.Position{CommitLSN: wal.LSN(w.commit), LSN: wal.LSN(w.commit - 0x800 + e.LsnOffset)}
	}
	value, err := proto.Marshal(b)
	if err != nil {
		w.t.Fatal(err)
	}
	l := &w.lanes[partition]
	r := &topic.Record{Topic: w.name, Partition: int32(partition), Key: key, Value: value, Sequence: uint64(len(l.records) + 1)}
	r.Headers = append(headers, topic.Header{Name: topic.HeaderPosition, Value: position.String()},
		topic.Header{Name: topic.HeaderOp, Value: opText(e.Op)}, topic.Header{Name: topic.HeaderSource, Value: "7/1/shop/s"},
		topic.Header{Name: topic.HeaderRelation, Value: "public.t"})
	if role != "" {
		r.Headers = append(r.Headers, topic.Header{Name: topic.HeaderKey, Value: role})
	}
	l.records = append(l.records, r)
}

// event routes one as the relay does.
func (w *topicWire) event(e *cdcv1.ChangeEvent) {
	w.t.Helper()
	switch {
	case e.Op == change.OpTruncate || e.Op == change.OpSchema:
		w.all(e, -1, "")
		return
	case e.RewriteStart:
		w.all(e, w.partition(e.Key), "elsewhere")
	}
	if len(e.NewKey) == 0 || len(e.Key) == 0 {
		key := e.Key
		if len(key) == 0 {
			key = e.NewKey
		}
		w.send(w.partition(key), e, key, "")
		return
	}
	old, after := w.partition(e.Key), w.partition(e.NewKey)
	w.send(old, e, e.Key, "old", topic.Header{Name: topic.HeaderCopy, Value: "1/2"})
	w.send(after, e, e.NewKey, "new", topic.Header{Name: topic.HeaderCopy, Value: "2/2"})
}

// all sends to all partitions but one.
func (w *topicWire) all(e *cdcv1.ChangeEvent, except int, role string) {
	for i := range w.lanes {
		if i != except {
			w.send(i, e, nil, role)
		}
	}
}

// mark writes that a load begins or ends.
func (w *topicWire) mark(what string) {
	for i := range w.lanes {
		l := &w.lanes[i]
		l.records = append(l.records, &topic.Record{Topic: w.name, Partition: int32(i), Sequence: uint64(len(l.records) + 1), Headers: []topic.Header{
			{Name: topic.HeaderOp, Value: "READ"}, {Name: topic.HeaderLoad, Value: "1"}, {Name: topic.HeaderLoadMark, Value: what},
			{Name: topic.HeaderPosition, Value: "0/0/0/0/0"}, {Name: topic.HeaderSource, Value: "7/1/shop/s"},
			{Name: topic.HeaderRelation, Value: "public.t"}}})
	}
}

// read applies the next record of a partition.
func (w *topicWire) read(partition int) error {
	l := &w.lanes[partition]
	m, err := w.reader.Read(l.records[l.next])
	if err != nil {
		return err
	}
	l.next++
	return w.applier.Apply(context.Background(), m)
}

// drain reads partitions to their ends, in this order; without any, all.
func (w *topicWire) drain(partitions ...int) {
	w.t.Helper()
	if len(partitions) == 0 {
		for i := range w.lanes {
			partitions = append(partitions, i)
		}
	}
	for _, i := range partitions {
		for w.lanes[i].next < len(w.lanes[i].records) {
			if err := w.read(i); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// rows gives those of public.t: "1,a 2,b".
func (w *topicWire) rows() string { return rowsOf(w.t, w.applier, "public.t") }

func rowsOf(t *testing.T, a *TopicApplier, relation string) string {
	t.Helper()
	var rows []string
	err := a.Rows(context.Background(), relation, func(table *schema.Table, row tuple.Row) error {
		var values []string
		c := row.Values()
		for c.Next() {
			if table.Column(c.Value().Number) == nil {
				t.Errorf("a value of no column: %d", c.Value().Number)
			}
			values = append(values, fmt.Sprintf("%d=%s", c.Value().Number, c.Value().Bytes))
		}
		rows = append(rows, strings.Join(values, ","))
		return c.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	return strings.Join(rows, " ")
}

func (w *topicWire) want(rows string, waiting int) {
	w.t.Helper()
	if got := w.rows(); got != rows {
		w.t.Errorf("the rows are %q, not %q", got, rows)
	}
	if n, err := w.applier.Waiting(context.Background()); err != nil || n != waiting {
		w.t.Errorf("%d rows wait, not %d; %v", n, waiting, err)
	}
}

// simple is a table with a key and two columns.
func (w *topicWire) simple(identity schema.ReplicaIdentity) uint64 {
	return w.table(&cdcv1.Table{Schema: "public", Name: "t", ReplicaIdentity: identity, Columns: []*cdcv1.Column{
		{Number: 1, Name: "id", Type: cdcv1.Type_TYPE_TEXT, Key: true}, {Number: 2, Name: "a", Type: cdcv1.Type_TYPE_TEXT},
		{Number: 3, Name: "b", Type: cdcv1.Type_TYPE_TEXT}}})
}

func (w *topicWire) insert(table uint64, key, a, b string) {
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpInsert, Schema: table, Key: texts(1, key), New: texts(2, a, b)})
}

// update changes the key and column a.
func (w *topicWire) update(table uint64, key, newKey, a string) {
	w.begin()
	e := &cdcv1.ChangeEvent{Op: change.OpUpdate, Schema: table, Key: texts(1, key), New: texts(2, a)}
	if newKey != "" {
		e.NewKey = texts(1, newKey)
	}
	w.event(e)
}

// A row that moves to another partition, of which the event does not have all, comes there
// whichever partition is read first.
func TestTopicMove(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		w := newTopicWire(t, 2) // "1" and "3" in one partition, "2" and "4" in the other
		full := w.simple(schema.IdentityFull)
		w.insert(full, "1", "a", "b")
		w.drain()
		w.update(full, "1", "2", "x")
		w.drain(order[0])
		w.want(map[int]string{w.partition(texts(1, "1")): "", w.partition(texts(1, "2")): "1=1,2=a,3=b"}[order[0]], 1)
		w.drain()
		w.want("1=2,2=x,3=b", 0)
		if len(w.state.rows[movingRelation]) != 0 {
			t.Errorf("there are entries left: %v", w.state.rows[movingRelation])
		}
	}
}

// It is updated, deleted, and moves on while what it was is still to come.
func TestTopicMoveBeforeItsBase(t *testing.T) {
	start := func() (*topicWire, uint64, []int) {
		w := newTopicWire(t, 2)
		full := w.simple(schema.IdentityFull)
		w.insert(full, "1", "a", "b")
		w.update(full, "1", "2", "x")
		late := w.partition(texts(1, "1"))
		return w, full, []int{1 - late, late}
	}
	w, full, order := start()
	w.update(full, "2", "", "y")
	w.drain(order...)
	w.want("1=2,2=y,3=b", 0)

	w, full, order = start()
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpDelete, Schema: full, Key: texts(1, "2")})
	w.drain(order[0])
	w.want("", 1)
	w.drain(order...)
	w.want("", 0)

	w, full, order = start()
	w.update(full, "2", "4", "z") // within the partition
	w.drain(order[0])
	w.want("", 1)
	w.drain(order...)
	w.want("1=4,2=z,3=b", 0)

	w, full, order = start()
	w.update(full, "2", "3", "z") // and back to the other one
	w.update(full, "3", "4", "zz")
	w.drain(order[0])
	w.want("", 3)
	w.drain(order...)
	w.want("1=4,2=zz,3=b", 0)

	w, full, order = start()
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpTruncate, Schema: full})
	w.drain(order[0])
	w.want("", 1)
	w.insert(full, "2", "new", "row")
	w.drain(order...)
	w.want("1=2,2=new,3=row", 0)

	w, _, order = start()
	altered := w.table(&cdcv1.Table{Schema: "public", Name: "t", ReplicaIdentity: schema.IdentityFull, Columns: []*cdcv1.Column{
		{Number: 1, Name: "id", Type: cdcv1.Type_TYPE_TEXT, Key: true}, {Number: 3, Name: "b", Type: cdcv1.Type_TYPE_TEXT},
		{Number: 4, Name: "c", Type: cdcv1.Type_TYPE_TEXT, Missing: texts(4, "default")}}})
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpSchema, Schema: altered, SchemaChange: &cdcv1.SchemaChange{Kind: change.SchemaAltered}})
	w.drain(order...)
	w.want("1=2,3=b,4=default", 0)
	if len(w.state.rows[movingRelation]) != 0 {
		t.Errorf("there are entries left: %v", w.state.rows[movingRelation])
	}
}

// Where the event has all of the row, nothing waits for another partition.
func TestTopicMoveWhole(t *testing.T) {
	for _, wholeOld := range []bool{false, true} {
		w := newTopicWire(t, 2)
		identity := schema.IdentityDefault
		if wholeOld {
			identity = schema.IdentityFull
		}
		w.applier.WholeOld = wholeOld
		table := w.simple(identity)
		w.insert(table, "1", "a", "b")
		w.begin()
		e := &cdcv1.ChangeEvent{Op: change.OpUpdate, Schema: table, Key: texts(1, "1"), NewKey: texts(1, "2"), New: texts(2, "x", "b")}
		if wholeOld {
			e.Old, e.New = texts(2, "a", "b"), texts(2, "x")
		}
		w.event(e)
		late := w.partition(texts(1, "1"))
		w.drain(1 - late)
		w.want("1=2,2=x,3=b", 0)
		w.drain()
		w.want("1=2,2=x,3=b", 0)
	}
}

// TRUNCATE and a rewrite count for their partition alone, whatever others have come to.
func TestTopicPartitionsApart(t *testing.T) {
	w := newTopicWire(t, 2)
	table := w.simple(schema.IdentityDefault)
	one, two := w.partition(texts(1, "1")), w.partition(texts(1, "2"))
	w.insert(table, "1", "a", "b")
	w.insert(table, "2", "a", "b")
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpTruncate, Schema: table})
	w.insert(table, "1", "c", "d")
	w.drain(one)
	w.want("1=1,2=c,3=d", 0)
	w.drain(two)
	w.want("1=1,2=c,3=d", 0)
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpRewrite, Schema: table, Key: texts(1, "2"), New: texts(2, "r", "r"), RewriteStart: true})
	w.drain(two)
	w.want("1=1,2=c,3=d 1=2,2=r,3=r", 0)
	w.drain(one)
	w.want("1=2,2=r,3=r", 0)
	// A column that one partition has not heard of yet.
	less := w.table(&cdcv1.Table{Schema: "public", Name: "t", Columns: []*cdcv1.Column{{Number: 1, Name: "id", Type: cdcv1.Type_TYPE_TEXT, Key: true},
		{Number: 2, Name: "a", Type: cdcv1.Type_TYPE_TEXT}}})
	w.insert(table, "1", "e", "f")
	w.drain(one)
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpSchema, Schema: less, SchemaChange: &cdcv1.SchemaChange{Kind: change.SchemaAltered}})
	w.drain(two)
	w.want("1=1,2=e,3=f 1=2,2=r", 0)
	w.drain()
	w.want("1=1,2=e 1=2,2=r", 0)
	found, row, err := w.applier.Row(context.Background(), "public.t", texts(1, "2"))
	if err != nil || found == nil || string(row) != string(texts(1, "2", "r")) {
		t.Errorf("%v %x %v", found, row, err)
	}
}

func TestTopicLost(t *testing.T) {
	w := newTopicWire(t, 1)
	full := w.simple(schema.IdentityFull)
	w.insert(full, "1", "a", "b")
	w.update(full, "9", "", "x")
	var lost *LostError
	if err := errors.Join(w.read(0), w.read(0)); !errors.As(err, &lost) {
		t.Error("a change of a row that is not there is applied:", err)
	}
	asked := 0
	w.applier.OnLost = func(m *topic.Message, err *LostError) error { asked++; return nil }
	w.update(full, "1", "", "x")
	w.drain()
	w.want("1=1,2=x,3=b", 0)
	for _, headers := range [][]topic.Header{{{Name: topic.HeaderReason, Value: "failure"}}, {{Name: topic.HeaderReference, Value: "9"}}} {
		w.begin()
		w.send(0, &cdcv1.ChangeEvent{Op: change.OpDelete, Schema: full, Key: texts(1, "1")}, nil, "", headers...)
	}
	w.drain()
	w.want("1=1,2=x,3=b", 0)
	if asked != 2 {
		t.Errorf("OnLost was asked %d times", asked)
	}
	w.begin()
	w.send(0, &cdcv1.ChangeEvent{Op: change.OpDelete, Schema: full, Key: texts(1, "1")}, nil, "", topic.Header{Name: topic.HeaderContent, Value: "application/json"})
	var unsupported *topic.UnsupportedError
	if err := w.read(0); !errors.As(err, &unsupported) {
		t.Error("JSON is applied:", err)
	}
}

// A table whose topic is another now: its rows do not follow, which is said.
func TestTopicOfAnotherVersion(t *testing.T) {
	w := newTopicWire(t, 2)
	table := w.simple(schema.IdentityDefault)
	w.insert(table, "1", "a", "b")
	w.insert(table, "2", "a", "b")
	w.drain()
	w.name = "cdc.public.t.v2"
	w.insert(table, "3", "a", "b")
	w.insert(table, "4", "a", "b")
	for i := range w.lanes { // a topic of its own
		l := &w.lanes[i]
		l.records, l.next = l.records[l.next:], 0
	}
	var lost *LostError
	if err := w.read(0); !errors.As(err, &lost) {
		t.Fatal("rows stay behind, and nobody says so:", err)
	}
	w.lanes[0].next = 0
	state := NewMemoryState()
	w.applier, w.state = NewTopicApplier(state), state
	w.drain()
	w.want("1=3,2=a,3=b 1=4,2=a,3=b", 0)
}

// Rows of a load are newer than changes that follow them.
func TestTopicRead(t *testing.T) {
	w := newTopicWire(t, 1)
	full := w.simple(schema.IdentityFull)
	read := func(key, a, b string) {
		w.send(0, &cdcv1.ChangeEvent{Op: change.OpRead, Schema: full, Key: texts(1, key), New: texts(2, a, b)}, texts(1, key), "")
	}
	w.mark("begin")
	w.xid = 710 // the snapshot sees what comes until then
	read("1", "new", "row")
	read("1", "new", "row") // at least once
	read("2", "other", "row")
	w.xid = 700
	w.update(full, "1", "", "before") // seen: changes nothing
	w.update(full, "7", "", "before") // its DELETE was seen, and comes
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpTruncate, Schema: full}) // seen, too
	w.drain()
	w.want("1=1,2=new,3=row 1=2,2=other,3=row", 0)
	w.xid = 711
	w.update(full, "1", "", "after")
	w.drain()
	w.want("1=1,2=after,3=row 1=2,2=other,3=row", 0)
	w.mark("end")
	w.drain()
	w.want("1=1,2=after,3=row 1=2,2=other,3=row", 0)
	w.update(full, "7", "", "missing")
	if err := w.read(0); !errors.Is(err, ErrLost) {
		t.Error("a row is missing after the load, and nobody says so:", err)
	}
}

// A table that is loaded again has what the source has: rows that were neither read nor changed
// meanwhile are gone.
func TestTopicReadAgain(t *testing.T) {
	for _, began := range []bool{true, false} {
		w := newTopicWire(t, 1)
		full := w.simple(schema.IdentityFull)
		for _, key := range []string{"1", "2", "3"} {
			w.insert(full, key, "of", "before")
		}
		w.logged = wal.Position{CommitLSN: wal.LSN(w.commit)}
		if began {
			w.mark("begin")
		}
		w.send(0, &cdcv1.ChangeEvent{Op: change.OpRead, Schema: full, Key: texts(1, "1"), New: texts(2, "read", "again")}, texts(1, "1"), "")
		w.update(full, "2", "", "changed")
		w.insert(full, "4", "made", "meanwhile")
		w.mark("end")
		w.drain()
		want := "1=1,2=read,3=again 1=2,2=changed,3=before 1=3,2=of,3=before 1=4,2=made,3=meanwhile"
		if began {
			want = "1=1,2=read,3=again 1=2,2=changed,3=before 1=4,2=made,3=meanwhile"
		}
		w.want(want, 0) // who has not seen the beginning cannot know
		w.update(full, "2", "", "later")
		w.drain()
		w.want(strings.Replace(want, "changed", "later", 1), 0)
	}
}

// A table that is loaded again while nobody writes is read under the same snapshot each time.
func TestTopicReadTwice(t *testing.T) {
	keyed := newTopicWire(t, 1)
	full := keyed.simple(schema.IdentityFull)
	bare := newTopicWire(t, 1)
	rows := bare.table(&cdcv1.Table{Schema: "public", Name: "t", ReplicaIdentity: schema.IdentityFull,
		Columns: []*cdcv1.Column{{Number: 1, Name: "a", Type: cdcv1.Type_TYPE_TEXT}}})
	for range 3 {
		for _, c := range []struct {
			w    *topicWire
			read *cdcv1.ChangeEvent
			want string
		}{
			{keyed, &cdcv1.ChangeEvent{Op: change.OpRead, Schema: full, Key: texts(1, "1"), New: texts(2, "a", "b")}, "1=1,2=a,3=b"},
			{bare, &cdcv1.ChangeEvent{Op: change.OpRead, Schema: rows, New: texts(1, "a")}, "1=a 1=a"},
		} {
			c.w.mark("begin")
			c.w.send(0, c.read, c.read.Key, "")
			c.w.send(0, c.read, c.read.Key, "")
			c.w.mark("end")
			c.w.drain()
			c.w.want(c.want, 0)
		}
	}
}

// A key that was looked for and has no row: what is held of it is gone, and so is what the snapshot has seen and comes later.
func TestTopicGone(t *testing.T) {
	w := newTopicWire(t, 1)
	full := w.simple(schema.IdentityFull)
	gone := func(key string) {
		w.send(0, &cdcv1.ChangeEvent{Op: change.OpRead, Schema: full, Key: texts(1, key)}, texts(1, key), "", topic.Header{Name: topic.HeaderLoadMark, Value: topic.MarkGone})
	}
	w.insert(full, "1", "a", "b")
	w.insert(full, "2", "a", "b")
	w.drain()
	w.logged = wal.Position{CommitLSN: wal.LSN(w.commit)}
	now := w.xid
	w.xid += 5 // the snapshot sees what comes until then
	gone("1")
	gone("1")
	gone("9")
	w.drain()
	w.want("1=2,2=a,3=b", 0)
	w.xid = now
	w.update(full, "1", "", "before")
	w.drain()
	w.want("1=2,2=a,3=b", 0)
	w.xid = now + 6
	w.insert(full, "1", "again", "b")
	w.drain()
	w.want("1=1,2=again,3=b 1=2,2=a,3=b", 0)
	w.lanes[0].records = append(w.lanes[0].records, w.lanes[0].records[2]) // it comes once more, and is old
	w.drain()
	w.want("1=1,2=again,3=b 1=2,2=a,3=b", 0)
	w.update(full, "9", "", "missing")
	if err := w.read(0); !errors.Is(err, ErrLost) {
		t.Error("a row is missing, and nobody says so:", err)
	}
}

// A table without a key is read under one snapshot, as often as it takes.
func TestTopicReadWithoutKey(t *testing.T) {
	w := newTopicWire(t, 1)
	table := w.table(&cdcv1.Table{Schema: "public", Name: "t", ReplicaIdentity: schema.IdentityFull,
		Columns: []*cdcv1.Column{{Number: 1, Name: "a", Type: cdcv1.Type_TYPE_TEXT}}})
	read := func(xid uint32, values ...string) {
		was := w.xid
		w.xid = xid
		for _, v := range values {
			w.send(0, &cdcv1.ChangeEvent{Op: change.OpRead, Schema: table, New: texts(1, v)}, nil, "")
		}
		w.xid = was
	}
	w.mark("begin")
	read(705, "a", "a")
	read(706, "a", "a", "b")
	for _, v := range []string{"a", "b"} { // seen
		w.begin()
		w.event(&cdcv1.ChangeEvent{Op: change.OpInsert, Schema: table, New: texts(1, v)})
	}
	w.drain()
	w.want("1=a 1=a 1=b", 0)
	w.xid = 706
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpInsert, Schema: table, New: texts(1, "b")})
	w.begin()
	w.event(&cdcv1.ChangeEvent{Op: change.OpDelete, Schema: table, Old: texts(1, "a")})
	w.drain()
	w.want("1=a 1=b 1=b", 0)
}

// A column that is added while a table is loaded does not make rows of before look as if they
// had changed.
func TestTopicReadWhileAltered(t *testing.T) {
	w := newTopicWire(t, 1)
	full := w.simple(schema.IdentityFull)
	w.insert(full, "1", "of", "before")
	w.logged = wal.Position{CommitLSN: wal.LSN(w.commit)}
	w.mark("begin")
	w.begin()
	altered := w.table(&cdcv1.Table{Schema: "public", Name: "t", ReplicaIdentity: schema.IdentityFull, Columns: []*cdcv1.Column{
		{Number: 1, Name: "id", Type: cdcv1.Type_TYPE_TEXT, Key: true}, {Number: 2, Name: "a", Type: cdcv1.Type_TYPE_TEXT},
		{Number: 4, Name: "c", Type: cdcv1.Type_TYPE_TEXT, Missing: texts(4, "default")}}})
	w.event(&cdcv1.ChangeEvent{Op: change.OpSchema, Schema: altered, SchemaChange: &cdcv1.SchemaChange{Kind: change.SchemaAltered}})
	w.drain()
	w.want("1=1,2=of,4=default", 0)
	w.mark("end")
	w.drain()
	w.want("", 0)
}

// A snapshot of a load is forgotten once a transaction comes that had not ended then: ids of
// transactions come round.
func TestTopicReadPasses(t *testing.T) {
	w := newTopicWire(t, 1)
	table := w.simple(schema.IdentityDefault)
	w.xid = 710
	w.send(0, &cdcv1.ChangeEvent{Op: change.OpRead, Schema: table, Key: texts(1, "1"), New: texts(2, "read", "row")}, texts(1, "1"), "")
	w.insert(table, "2", "a", "b") // behind it
	w.xid = 1<<31 + 700            // so far that it looks as if it were before
	w.update(table, "1", "", "later")
	w.drain()
	w.want("1=1,2=later,3=row 1=2,2=a,3=b", 0)
	if n := len(w.applier.places[w.name+"/0"].notes.Loads); n != 0 {
		t.Errorf("%d snapshots are kept", n)
	}
}

// What an UPDATE says all of: a column of which nothing is sent counts as said, a redacted one by what
// stands in its place.
func TestTopicWhole(t *testing.T) {
	column := func(n uint32, r schema.Redaction) *cdcv1.Column {
		return &cdcv1.Column{Number: n, Name: fmt.Sprint("c", n), Type: cdcv1.Type_TYPE_TEXT, Key: n == 1, Redaction: r}
	}
	for _, c := range []struct {
		redaction schema.Redaction
		new       tuple.Row
		nulls     []uint32
		want      bool
	}{
		{0, texts(2, "x"), nil, false},
		{0, texts(2, "x", "y"), nil, true},
		{0, texts(2, "x"), []uint32{3}, true},
		{cdcv1.Redaction_REDACTION_WITHHELD, texts(2, "x"), nil, true},
		{cdcv1.Redaction_REDACTION_DROP, texts(2, "x"), nil, true},
		{cdcv1.Redaction_REDACTION_NULL, texts(2, "x"), nil, true},
		{cdcv1.Redaction_REDACTION_MASK, texts(2, "x"), nil, false},
		{cdcv1.Redaction_REDACTION_MASK, append(texts(2, "x"), texts(2003, "***")...), nil, true},
		{cdcv1.Redaction_REDACTION_MASK, texts(2, "x"), []uint32{3}, true},
	} {
		raw, err := proto.Marshal(&cdcv1.Table{Schema: "public", Name: "t", Columns: []*cdcv1.Column{column(1, 0), column(2, 0), column(3, c.redaction)}})
		if err != nil {
			t.Fatal(err)
		}
		table, err := schema.ParseTable(raw, schema.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		e := &change.Event{Op: change.OpUpdate, Key: texts(1, "1"), New: c.new, Nulls: numbers(c.nulls)}
		if whole, err := new(TopicApplier).isWhole(table, e); err != nil || whole != c.want {
			t.Errorf("%v %q %v: whole %v, %v", c.redaction, c.new, c.nulls, whole, err)
		}
	}
}
