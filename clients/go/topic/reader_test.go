package topic

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/metrics"
	"github.com/pgcdc/cdc/clients/go/schema"
)

// golden gives the records of a file of test/golden/relay.
func golden(t testing.TB, file string) (records []*Record) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var m struct {
			Topic      string
			Partition  int32
			Key, Value *string
			Headers    [][2]string
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		r := &Record{Topic: m.Topic, Partition: m.Partition, Key: unhex(t, m.Key), Value: unhex(t, m.Value)}
		for _, h := range m.Headers {
			r.Headers = append(r.Headers, Header{h[0], h[1]})
		}
		records = append(records, r)
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return records
}

func unhex(t testing.TB, text *string) []byte {
	if text == nil {
		return nil
	}
	b, err := hex.DecodeString(*text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newReader() *Reader { return NewReader(schema.NewCache(schema.Limits{})) }

// lines is what a message is in the JSON form, with its transaction's end.
func lines(m *Message) ([]byte, error) {
	switch {
	case m.Kind == JSON, m.Event == nil && m.LoadMark == MarkGone && m.Value != nil:
		return append(bytes.Clone(m.Value), '\n'), nil
	case m.Event == nil:
		return []byte{'\n'}, nil
	}
	return m.Event.Batch().AppendJSON(nil)
}

// Every golden file reads to the JSON beside it, through one reader that keeps its schemas.
func TestGoldenMessages(t *testing.T) {
	files, err := filepath.Glob("../../../test/golden/relay/*.messages")
	loads, err2 := filepath.Glob("../../../test/golden/relay/load/*.messages")
	if err := errors.Join(err, err2); err != nil || len(files) == 0 || len(loads) == 0 {
		t.Fatal("no golden files", err)
	}
	files = append(files, loads...)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(file, ".messages") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			reader := newReader()
			var got []byte
			for i, r := range golden(t, file) {
				m, err := reader.Read(r)
				if err != nil {
					t.Fatalf("record %d: %v", i, err)
				}
				text, err := lines(m)
				if err != nil {
					t.Fatalf("record %d: %v", i, err)
				}
				got = append(got, text...)
				checkView(t, m)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("it reads to\n%s\nnot\n%s", got, want)
			}
		})
	}
}

// checkView compares what the headers say with what the event says.
func checkView(t *testing.T, m *Message) {
	t.Helper()
	if (m.Kind == Tombstone) != (m.Value == nil && m.Kind != Marker) || m.Place != m.Topic+"/"+string(rune('0'+m.Partition)) {
		t.Errorf("%v %v at %s", m.Kind, m.Value, m.Place)
	}
	if m.Event == nil {
		return
	}
	if m.Event.Op == change.OpRead { // of no transaction: the position is that of the change before it
		if m.Event.Batch().Snapshot == nil || m.Position.IsZero() || m.Load == 0 {
			t.Errorf("a row that was read: %+v", m)
		}
	} else if m.Event.Position() != m.Position || m.Position.IsZero() {
		t.Errorf("position %v, of the event %v", m.Position, m.Event.Position())
	}
	if m.Event.Op.String() != "OP_"+m.Op {
		t.Errorf("op %v, of the event %v", m.Op, m.Event.Op)
	}
	if table := m.Event.Table(); table != nil && m.Relation != text(table.String()) {
		t.Errorf("relation %q, of the event %q", m.Relation, table)
	}
	if major := m.Event.Version().Major; major != m.Version {
		t.Errorf("version %d, of the event %d", m.Version, major)
	}
	if at := m.Event.Batch().Transaction.CommitTime(); !at.Equal(m.CommitTime) {
		t.Errorf("committed at %v, of the event %v", m.CommitTime, at)
	}
	if m.Source.System == 0 || m.Source.Database == "" {
		t.Errorf("source %v", m.Source)
	}
	if count := m.Event.Batch().EventCount; m.Events != 0 && count != 0 && count != uint64(m.Events) {
		t.Errorf("%d events, of the batch %d", m.Events, count)
	}
}

// The golden files have all that tells one message of an event from another.
func TestGoldenRoles(t *testing.T) {
	kinds, roles := map[Kind]int{}, map[Role]int{}
	for _, name := range []string{"identity", "rewrite", "truncate", "json_null"} {
		reader := newReader()
		for _, r := range golden(t, "../../../test/golden/relay/"+name+".messages") {
			m, err := reader.Read(r)
			if err != nil {
				t.Fatal(err)
			}
			kinds[m.Kind]++
			roles[m.Role]++
			if m.Holds() != (m.Role == RoleNone || m.Role == RoleNew) {
				t.Errorf("role %v: holds %v", m.Role, m.Holds())
			}
		}
	}
	if len(roles) != 4 || kinds[Change] == 0 || kinds[Tombstone] == 0 || kinds[JSON] == 0 {
		t.Errorf("roles %v, kinds %v", roles, kinds)
	}
}

// first is the first record of a golden file, to be damaged.
func first(t *testing.T) *Record {
	t.Helper()
	return golden(t, "../../../test/golden/relay/identity.messages")[0]
}

// set replaces a header; "" removes it.
func set(r *Record, name, value string) *Record {
	kept := r.Headers[:0:0]
	for _, h := range r.Headers {
		if h.Name != name {
			kept = append(kept, h)
		}
	}
	if value != "" {
		kept = append(kept, Header{name, value})
	}
	r.Headers = kept
	return r
}

func TestReaderRefuses(t *testing.T) {
	other := golden(t, "../../../test/golden/relay/identity.messages")[1]
	two := func(r *Record) { // events of one batch
		i := bytes.LastIndexByte(other.Value, 0x3A)
		r.Value = append(bytes.Clone(r.Value), other.Value[i:]...)
	}
	for name, change := range map[string]func(r *Record){
		"no headers":              func(r *Record) { r.Headers = nil },
		"no position":             func(r *Record) { set(r, HeaderPosition, "") },
		"no op":                   func(r *Record) { set(r, HeaderOp, "") },
		"no source":               func(r *Record) { set(r, HeaderSource, "") },
		"another position":        func(r *Record) { set(r, HeaderPosition, "0/1/0/1/0") },
		"a position that is none": func(r *Record) { set(r, HeaderPosition, "1") },
		"a source that is none":   func(r *Record) { set(r, HeaderSource, "1/2") },
		"a copy that is none":     func(r *Record) { set(r, HeaderCopy, "3/2") },
		"a count that is none":    func(r *Record) { set(r, HeaderEnd, "x") },
		"a time that is none":     func(r *Record) { set(r, HeaderCommitTime, "x") },
		"a value that is cut":     func(r *Record) { r.Value = r.Value[:len(r.Value)-1] },
		"several events":          two,
		"no event":                func(r *Record) { r.Value = r.Value[:bytes.LastIndexByte(r.Value, 0x3A)] },
	} {
		r := first(t)
		change(r)
		if m, err := newReader().Read(r); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	for name, change := range map[string]func(r *Record){
		"an unknown op":   func(r *Record) { set(r, HeaderOp, "MERGE") },
		"an unknown role": func(r *Record) { set(r, HeaderKey, "sideways") },
	} {
		r := first(t)
		change(r)
		var unknown *UnknownError
		if m, err := newReader().Read(r); !errors.As(err, &unknown) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	var unsupported *UnsupportedError
	if _, err := newReader().Read(set(first(t), HeaderContent, "application/vnd.apache.avro+binary")); !errors.As(err, &unsupported) {
		t.Error("values of another kind are read:", err)
	}
	gone := set(first(t), HeaderContent, "application/vnd.cdc.row")
	gone.Value = nil
	if m, err := newReader().Read(gone); !errors.As(err, &unsupported) {
		t.Errorf("a DELETE among rows is passed over: %+v, %v", m, err)
	}
}

// An op that this version does not know is told also where only the event has it.
func TestReaderUnknownOpOfEvent(t *testing.T) {
	r := first(t)
	at := bytes.LastIndexByte(r.Value, 0x3A) // the event, which begins with its op
	for _, i := range []int{at + 2, bytes.LastIndex(r.Value, []byte{8, byte(change.OpInsert)})} {
		if r.Value[i] == 8 && r.Value[i+1] == byte(change.OpInsert) {
			r.Value[i+1] = 99
		}
	}
	var unknown *UnknownError
	if m, err := newReader().Read(r); !errors.As(err, &unknown) {
		t.Errorf("%v, %v", m, err)
	}
}

func TestReaderKinds(t *testing.T) {
	letter := set(set(set(first(t), HeaderReason, "too_large"), HeaderTopic, "p.a.b"), HeaderBytes, "17")
	letter.Value = []byte{}
	m, err := newReader().Read(letter)
	if err != nil || m.Kind != DeadLetter || *m.Letter != (Letter{"too_large", "p.a.b"}) || m.Bytes != 17 || m.Event != nil {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = newReader().Read(set(first(t), HeaderReason, "failure"))
	if err != nil || m.Kind != DeadLetter || m.Letter.Reason != "failure" || m.Event == nil {
		t.Errorf("%+v, %v", m, err)
	}
	reference := set(first(t), HeaderReference, "2000000")
	reference.Value = []byte{}
	if m, err = newReader().Read(reference); err != nil || m.Kind != Reference || m.Bytes != 2000000 {
		t.Errorf("%+v, %v", m, err)
	}
	mark := set(set(set(first(t), HeaderOp, "READ"), HeaderLoad, "3"), HeaderLoadMark, "begin")
	mark.Value = nil
	if m, err = newReader().Read(mark); err != nil || m.Kind != Marker || m.Load != 3 || m.LoadMark != "begin" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, op := range []string{"BEGIN", "END"} {
		begin := set(set(first(t), HeaderOp, op), HeaderPosition, "")
		begin.Value = nil
		if m, err = newReader().Read(begin); err != nil || m.Kind != Marker {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if text := text("a%25b%0Ac%"); text != "a%b\nc%" {
		t.Errorf("%q", text)
	}
}

// A schema that is known is not parsed again, and is the same Table.
func TestReaderKeepsSchemas(t *testing.T) {
	schemas := schema.NewCache(schema.Limits{})
	reader := NewReader(schemas)
	var tables []*schema.Table
	for _, r := range golden(t, "../../../test/golden/relay/identity.messages")[:2] {
		m, err := reader.Read(r)
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, m.Event.Table())
	}
	if tables[0] == nil || tables[0] != tables[1] || schemas.Len() != 1 {
		t.Errorf("%v, %d schemas", tables, schemas.Len())
	}
}

func TestSource(t *testing.T) {
	s := Source{7711112610140933698, 3, "a/b 100%", "slot"}
	if got, err := ParseSource(s.String()); err != nil || got != s {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "1/2/3", "x/1/d/s", "1/x/d/s", "1/1/%/s"} {
		if got, err := ParseSource(text); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	r := &Record{Topic: "t", Partition: 3, Headers: []Header{{"a", "b"}}}
	if r.Place() != "t/3" || r.Header("a") != "b" || r.Header("c") != "" {
		t.Error(r.Place())
	}
	if r.Stream = "CDC"; r.Place() != "CDC" {
		t.Error(r.Place())
	}
	if at := time.Date(2026, 11, 22, 21, 34, 55, 980259000, time.UTC); true {
		if m, err := newReader().Read(first(t)); err != nil || !m.CommitTime.Equal(at) {
			t.Errorf("%v, %v", m, err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	records := golden(b, "../../../test/golden/relay/identity.messages")
	reader := newReader()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := reader.Read(records[i%len(records)]); err != nil {
			b.Fatal(err)
		}
	}
}

// delays keeps what is observed.
type delays struct {
	metrics.None
	seen []float64
}

func (d *delays) Observe(h metrics.Histogram, value float64) {
	if h == metrics.ReadDelaySeconds {
		d.seen = append(d.seen, value)
	}
}

func TestObserveDelay(t *testing.T) {
	var d delays
	m, err := newReader().Read(golden(t, "../../../test/golden/relay/identity.messages")[0])
	if err != nil {
		t.Fatal(err)
	}
	m.ObserveDelay(&d, time.Now().Add(-3*time.Second))
	m.ObserveDelay(&d, time.Now().Add(time.Minute)) // by a clock that is ahead
	if len(d.seen) != 2 || d.seen[0] < 3 || d.seen[0] > 30 || d.seen[1] != 0 {
		t.Error(d.seen)
	}
}
