package replica

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/topic"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// model is a table as it is at the source: values by key and column, absent ones NULL.
type model struct {
	r       *rand.Rand
	w       *topicWire
	full    bool // REPLICA IDENTITY FULL; otherwise column 3 is large and stays out of what did not touch it
	columns []*cdcv1.Column
	table   uint64
	rows    map[string]map[uint32]string
	next    uint32
	count   int
}

func newModel(w *topicWire, r *rand.Rand) *model {
	m := &model{r: r, w: w, full: r.IntN(2) == 0, rows: map[string]map[uint32]string{}, next: 4}
	for i, name := range []string{"id", "a", "b"} {
		m.columns = append(m.columns, &cdcv1.Column{Number: uint32(i + 1), Name: name, Type: cdcv1.Type_TYPE_TEXT, Key: i == 0})
	}
	m.schema()
	return m
}

func (m *model) schema() {
	t := &cdcv1.Table{Schema: "public", Name: "t", Columns: m.columns, ReplicaIdentity: schema.IdentityDefault}
	if m.full {
		t.ReplicaIdentity = schema.IdentityFull
	}
	m.table = m.w.table(t)
}

func (m *model) text() string { m.count++; return fmt.Sprint(m.count) }

// any gives a key that there is, or "".
func (m *model) any() string {
	keys := slices.Sorted(maps.Keys(m.rows))
	if len(keys) == 0 {
		return ""
	}
	return keys[m.r.IntN(len(keys))]
}

// free gives a key that there is not.
func (m *model) free() string {
	for {
		if key := fmt.Sprint(m.r.IntN(12)); m.rows[key] == nil {
			return key
		}
	}
}

func encodeRow(row map[uint32]string) (out tuple.Row) {
	for _, n := range slices.Sorted(maps.Keys(row)) {
		out = append(out, texts(n, row[n])...)
	}
	return out
}

// transaction does something, and says so.
func (m *model) transaction() {
	m.w.begin()
	for i := range 1 + m.r.IntN(3) {
		if e := m.step(); e != nil {
			e.LsnOffset = uint64(i * 10)
			e.Schema = m.table
			m.w.event(e)
		}
	}
	if m.r.IntN(25) == 0 {
		m.rewrite()
	}
}

func (m *model) step() *cdcv1.ChangeEvent {
	key := m.any()
	switch n := m.r.IntN(40); {
	case n == 0:
		clear(m.rows)
		return &cdcv1.ChangeEvent{Op: change.OpTruncate}
	case n == 1:
		return m.alter()
	case key == "" || n < 10 && len(m.rows) < 10:
		return m.insert()
	case n < 15:
		delete(m.rows, key)
		return &cdcv1.ChangeEvent{Op: change.OpDelete, Key: texts(1, key)}
	}
	return m.update(key)
}

func (m *model) insert() *cdcv1.ChangeEvent {
	key, row := m.free(), map[uint32]string{}
	for _, c := range m.columns[1:] {
		if m.r.IntN(4) > 0 {
			row[c.Number] = m.text()
		}
	}
	m.rows[key] = row
	return &cdcv1.ChangeEvent{Op: change.OpInsert, Key: texts(1, key), New: encodeRow(row)}
}

// update changes some columns, and often the key.
func (m *model) update(key string) *cdcv1.ChangeEvent {
	row := m.rows[key]
	e := &cdcv1.ChangeEvent{Op: change.OpUpdate, Key: texts(1, key)}
	said := map[uint32]string{}
	for _, c := range m.columns[1:] {
		touched := m.r.IntN(3) == 0
		if touched {
			if delete(row, c.Number); m.r.IntN(3) > 0 {
				row[c.Number] = m.text()
			}
		}
		if !touched && (m.full || c.Number == 3) {
			continue
		}
		if value, ok := row[c.Number]; ok {
			said[c.Number] = value
		} else {
			e.Nulls = append(e.Nulls, c.Number)
		}
	}
	e.New = encodeRow(said)
	if m.r.IntN(2) == 0 {
		after := m.free()
		e.NewKey = texts(1, after)
		delete(m.rows, key)
		m.rows[after] = row
	}
	return e
}

// alter adds a column with a default, or drops one.
func (m *model) alter() *cdcv1.ChangeEvent {
	if m.r.IntN(2) == 0 && len(m.columns) > 3 {
		gone := m.columns[3].Number
		m.columns = slices.Delete(slices.Clone(m.columns), 3, 4)
		for _, row := range m.rows {
			delete(row, gone)
		}
	} else {
		c := &cdcv1.Column{Number: m.next, Name: fmt.Sprint("c", m.next), Type: cdcv1.Type_TYPE_TEXT}
		if m.r.IntN(2) == 0 {
			value := m.text()
			c.Missing = texts(c.Number, value)
			for _, row := range m.rows {
				row[c.Number] = value
			}
		}
		m.columns, m.next = append(slices.Clone(m.columns), c), m.next+1
	}
	m.schema()
	return &cdcv1.ChangeEvent{Op: change.OpSchema, SchemaChange: &cdcv1.SchemaChange{Kind: change.SchemaAltered}}
}

// rewrite writes all rows anew, in which a column has changed.
func (m *model) rewrite() {
	for i, key := range slices.Sorted(maps.Keys(m.rows)) {
		m.rows[key][2] = m.text()
		m.w.event(&cdcv1.ChangeEvent{Op: change.OpRewrite, Schema: m.table, Key: texts(1, key), New: encodeRow(m.rows[key]),
			RewriteStart: i == 0, LsnOffset: uint64(100 + i)})
	}
}

func (m *model) String() string {
	var rows []string
	for key, row := range m.rows {
		values := []string{"1=" + key}
		for _, n := range slices.Sorted(maps.Keys(row)) {
			values = append(values, fmt.Sprintf("%d=%s", n, row[n]))
		}
		rows = append(rows, strings.Join(values, ","))
	}
	slices.Sort(rows)
	return strings.Join(rows, " ")
}

// clone copies a state, as of its last commit.
func (m *MemoryState) clone() *MemoryState {
	c := NewMemoryState()
	for relation, rows := range m.rows {
		c.rows[relation] = maps.Clone(rows)
	}
	c.schemas, c.applied = maps.Clone(m.schemas), m.applied
	return c
}

// crash takes the reader back to its last commit. What it reads then begins at the last message
// of each partition that was committed, or before it.
func (w *topicWire) crash(r *rand.Rand, committed *MemoryState) {
	w.state = committed.clone()
	w.applier = NewTopicApplier(w.state)
	w.reader = topic.NewReader(schema.NewCache(schema.Limits{}))
	p, err := w.applier.Progress(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range w.lanes {
		sequence := int(p.Sequence(fmt.Sprintf("%s/%d", w.name, i)))
		w.lanes[i].next = max(0, sequence-r.IntN(4))
	}
}

// Whatever the order in which partitions are read, and however often the reader dies: the
// tables are the source's in the end.
func TestTopicsConverge(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 60
	}
	moves, waited := 0, 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newTopicWire(t, 1+r.IntN(4))
		m := newModel(w, r)
		committed := w.state.clone()
		for i := 0; ; {
			if i < 60 && r.IntN(3) == 0 {
				m.transaction()
				i++
			}
			left := w.left()
			if len(left) == 0 && i == 60 {
				break
			}
			if len(left) > 0 {
				if err := w.read(left[r.IntN(len(left))]); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			switch r.IntN(20) {
			case 0, 1:
				if err := w.applier.Commit(context.Background()); err != nil {
					t.Fatal(err)
				}
				committed = w.state.clone()
			case 2:
				w.crash(r, committed)
			}
			if n, err := w.applier.Waiting(context.Background()); err == nil && n > 0 {
				waited++
			}
		}
		if got, want := w.rows(), m.String(); got != want {
			t.Fatalf("seed %d: the rows are\n%s\nnot\n%s", seed, got, want)
		}
		for relation, rows := range w.state.rows {
			if relation == movingRelation || strings.HasPrefix(relation, partialRelation) {
				if len(rows) > 0 {
					t.Fatalf("seed %d: %s has %d rows", seed, relation, len(rows))
				}
			}
		}
		for i := range w.lanes {
			for _, r := range w.lanes[i].records {
				if r.Header(topic.HeaderKey) == "new" {
					moves++
				}
			}
		}
	}
	if moves < 1000 || waited < 1000 {
		t.Errorf("%d rows have moved, and %d times one was on its way: that tests little", moves, waited)
	}
}

// left are the partitions that have more.
func (w *topicWire) left() (list []int) {
	for i := range w.lanes {
		if w.lanes[i].next < len(w.lanes[i].records) {
			list = append(list, i)
		}
	}
	return list
}

// A table is read, range by range, while it changes: each row as it was at some moment, before
// or after what the log has come to. Rows that change meanwhile are read again, as the relay does.
func TestTopicsConvergeWithLoad(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 9))
		w := newTopicWire(t, 1+r.IntN(3))
		m := newModel(w, r)
		for _, key := range []string{"0", "3", "5", "100", "101"} { // what another reader has left there
			w.begin()
			w.event(&cdcv1.ChangeEvent{Op: change.OpInsert, Schema: m.table, Key: texts(1, key), New: texts(2, "stale")})
		}
		w.logged = wal.Position{CommitLSN: wal.LSN(w.commit)}
		before := slices.Clone(w.lanes)
		for i := range w.lanes {
			w.lanes[i].records = nil
		}
		history := history(w, m, r)
		w.lanes = before
		play(w, m, r, history)
		for left := w.left(); len(left) > 0; left = w.left() {
			if err := w.read(left[r.IntN(len(left))]); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if got, want := w.rows(), m.String(); got != want {
			t.Fatalf("seed %d: the rows are\n%s\nnot\n%s", seed, got, want)
		}
	}
}

// moment is a transaction: its messages, and the table after it.
type moment struct {
	xid     uint32
	rows    map[string]map[uint32]string
	records [][]*topic.Record
}

// history has transactions without DDL, whose messages are not in the log yet.
func history(w *topicWire, m *model, r *rand.Rand) (all []moment) {
	for range 10 {
		m.insert()
	}
	for range 30 {
		w.begin()
		for i := range 1 + r.IntN(3) {
			var e *cdcv1.ChangeEvent
			switch key := m.any(); {
			case key == "" || r.IntN(4) == 0 && len(m.rows) < 10:
				e = m.insert()
			case r.IntN(5) == 0:
				delete(m.rows, key)
				e = &cdcv1.ChangeEvent{Op: change.OpDelete, Key: texts(1, key)}
			default:
				e = m.update(key)
			}
			e.LsnOffset, e.Schema = uint64(i*10), m.table
			w.event(e)
		}
		at := moment{xid: w.xid, rows: map[string]map[uint32]string{}}
		for key, row := range m.rows {
			at.rows[key] = maps.Clone(row)
		}
		for i := range w.lanes {
			at.records = append(at.records, w.lanes[i].records)
			w.lanes[i].records = nil
		}
		all = append(all, at)
	}
	return all
}

// play writes a log: a load of ranges, and transactions between them.
func play(w *topicWire, m *model, r *rand.Rand, all []moment) {
	seen := 0 // how far ahead of the log it was read
	read := func(from, ahead int, wanted func(key string) bool) {
		at := from + r.IntN(min(ahead, len(all)-from))
		w.xid, seen = all[at].xid, max(seen, at)
		for _, key := range slices.Sorted(maps.Keys(all[at].rows)) {
			if wanted(key) {
				w.send(w.partition(texts(1, key)), &cdcv1.ChangeEvent{Op: change.OpRead, Schema: m.table, Key: texts(1, key),
					New: encodeRow(all[at].rows[key])}, texts(1, key), "")
			}
		}
	}
	w.mark("begin")
	ended := false
	for i := range all {
		for part := range 3 {
			if i < 3 && (part == i || r.IntN(3) == 0) {
				read(i, 4, func(key string) bool { return int(key[0])%3 == part })
			}
		}
		touched := w.relay(&all[i])
		if ended {
			continue
		}
		// What has changed is read again, as long as something was read that is newer.
		ahead := 4
		if i > 5 && i >= seen {
			ahead, ended = 1, true
		}
		read(i, ahead, func(key string) bool { return touched[string(texts(1, key))] })
		if ended {
			w.mark("end")
		}
	}
}

// relay writes a transaction to the log.
func (w *topicWire) relay(at *moment) (touched map[string]bool) {
	touched = map[string]bool{}
	for p, records := range at.records {
		l := &w.lanes[p]
		for _, record := range records {
			record.Sequence = uint64(len(l.records) + 1)
			l.records = append(l.records, record)
			touched[string(record.Key)] = true
			position, err := wal.ParsePosition(record.Header(topic.HeaderPosition))
			if err != nil {
				w.t.Fatal(err)
			}
			w.logged = position
		}
	}
	return touched
}
