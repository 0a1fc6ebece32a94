package plan

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/relay/bus"
)

// schemas is a registry that numbers types from 1 on.
type schemas struct {
	tables []*cdc.Table
	topics []string
	err    error
}

func (s *schemas) Check(context.Context) error { return s.err }
func (s *schemas) Register(_ context.Context, topic string, t *cdc.Table, _ uint32) (int, error) {
	s.tables, s.topics = append(s.tables, t), append(s.topics, topic)
	return len(s.tables), s.err
}

// row gives the row of a message, and its table.
func (s *schemas) row(t *testing.T, m *bus.Message) (*cdc.Table, cdc.Row) {
	t.Helper()
	var header sr.ConfluentHeader
	id, rest, err := header.DecodeID(m.Value)
	if err != nil {
		t.Fatal(err)
	}
	index, rest, err := header.DecodeIndex(rest, 1)
	if err != nil || len(index) != 1 || index[0] != 0 {
		t.Fatal(index, err)
	}
	if s.topics[id-1] != m.Topic {
		t.Errorf("a message on %s has the type of %s", m.Topic, s.topics[id-1])
	}
	return s.tables[id-1], cdc.Row(rest)
}

// read is what a reader makes of messages, each on a line: rows in the JSON form, and what is of no row as ever.
func (s *schemas) read(t *testing.T, messages []bus.Message) (lines []byte) {
	t.Helper()
	for i := range messages {
		m := &messages[i]
		if m.Get(bus.ContentType) != RowContent || m.Value == nil {
			lines = append(lines, read(t, messages[i:i+1])...)
			continue
		}
		table, row := s.row(t, m)
		var err error
		if lines, err = table.AppendJSON(lines, row); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, '\n')
	}
	return lines
}

// Rows are those of the stream in the JSON form, for every event that has one, and each type is registered once.
func TestRowsAreThoseOfTheStream(t *testing.T) {
	for _, g := range goldenRows {
		s := &schemas{}
		g.options.Schemas = s
		want := streamRows(t, "../../test/golden/"+g.name+".json")
		for _, m := range played(t, "../../test/golden/"+g.name+".pb", g.options, 1<<30) {
			after, ok := want[m.Get(bus.Position)]
			if m.Value == nil || m.Get(bus.ContentType) != RowContent {
				continue
			}
			if !ok {
				t.Errorf("%s: the row at %s is none of the stream", g.name, m.Get(bus.Position))
				continue
			}
			table, row := s.row(t, &m)
			text, err := table.AppendJSON(nil, row)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]json.RawMessage
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			for name, value := range after {
				if string(value) == "null" && got[name] == nil {
					continue
				}
				if !bytes.Equal(got[name], value) {
					t.Errorf("%s: %q of the row at %s is %s, not %s", g.name, name, m.Get(bus.Position), got[name], value)
				}
			}
		}
		seen := map[string]bool{}
		for i, table := range s.tables {
			if key := s.topics[i] + table.Fingerprint.String(); seen[key] {
				t.Errorf("%s: %s is registered again", g.name, key)
			} else {
				seen[key] = true
			}
		}
	}
}

// streamRows gives what the events of a stream say of the row after them, by position.
func streamRows(t *testing.T, file string) map[string]map[string]json.RawMessage {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]map[string]json.RawMessage{}
	for line := range strings.Lines(string(content)) {
		var e struct {
			Position         string
			Op               string
			Key, NewKey, New map[string]json.RawMessage
		}
		var raw map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &raw); err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal([]byte(line), &e)
		_ = json.Unmarshal(raw["new_key"], &e.NewKey)
		if e.Position == "" || e.Op == "DELETE" {
			continue
		}
		row := map[string]json.RawMessage{}
		for _, part := range []map[string]json.RawMessage{e.Key, e.NewKey, e.New} {
			for name, value := range part {
				row[name] = value
			}
		}
		rows[e.Position] = row
	}
	return rows
}

// stopped plays a stream until it is an error.
func stopped(t *testing.T, name string, o Options) error {
	t.Helper()
	_, err := play(t, "../../test/golden/"+name+".pb", o, 1<<30)
	return err
}

// Where a column would read as NULL though it is not known, the relay stops, and tells which one.
func TestRowsThatAreNotWhole(t *testing.T) {
	var missing *MissingError
	if err := stopped(t, "toast", Options{Schemas: &schemas{}}); !errors.As(err, &missing) || missing.Relation != "public.t" || missing.Columns[0] != "big" ||
		!strings.Contains(err.Error(), "relay.missing") {
		t.Errorf("a value that is not there: %v", err)
	}
	// Without the option old = full an UPDATE under REPLICA IDENTITY FULL has what has changed alone.
	if err := stopped(t, "identity", Options{Schemas: &schemas{}}); !errors.As(err, &missing) {
		t.Errorf("old = changed: %v", err)
	}
	for _, whole := range []string{"types", "arrays", "truncate", "rewrite", "names"} {
		if err := stopped(t, whole, Options{Schemas: &schemas{}}); err != nil {
			t.Errorf("%s: %v", whole, err)
		}
	}
}

// A registry that refuses ends the event, and is asked again by the next session.
func TestRegistryThatRefuses(t *testing.T) {
	s := &schemas{err: &bus.ConfigError{Message: "no"}}
	var config *bus.ConfigError
	if err := stopped(t, "types", Options{Schemas: s}); !errors.As(err, &config) {
		t.Error(err)
	}
}

// What stood for a value is gone with it, also of a column that is redacted; what is held back is named, and never refused.
func TestRowOfRedactedColumns(t *testing.T) {
	table, err := proto.Marshal(&cdcv1.Table{Schema: "public", Name: "t", ReplicaIdentity: cdcv1.ReplicaIdentity_REPLICA_IDENTITY_FULL, Columns: []*cdcv1.Column{
		{Number: 1, Name: "id", Type: cdcv1.Type_TYPE_TEXT, Key: true}, {Number: 2, Name: "masked", Type: cdcv1.Type_TYPE_TEXT, Redaction: cdcv1.Redaction_REDACTION_MASK},
		{Number: 3, Name: "kept,\n", Type: cdcv1.Type_TYPE_TEXT, Redaction: cdcv1.Redaction_REDACTION_DROP}, {Number: 4, Name: "b", Type: cdcv1.Type_TYPE_TEXT}}})
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := uint64(schema.FingerprintOf(table))
	id, masked := []byte{1<<3 | 2, 1, 'k'}, append(binary.AppendUvarint(nil, 2002<<3|2), 1, '*')
	source := cdctest.NewSource("s")
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: fingerprint, Table: table}}
	b.Events = []*cdcv1.ChangeEvent{
		{Op: cdc.OpUpdate, Schema: fingerprint, Key: id, Old: append([]byte{4<<3 | 2, 1, 'b'}, masked...), Nulls: []uint32{2}},
		{Op: cdc.OpUpdate, Schema: fingerprint, LsnOffset: 1, Key: id, Old: masked, New: []byte{4<<3 | 2, 1, 'c'}},
		{Op: cdc.OpUpdate, Schema: fingerprint, LsnOffset: 2, Key: id, Old: masked, Nulls: []uint32{2}},
	}
	b.EventCount = 3
	source.Add(b)
	s := &schemas{}
	all := messagesOf(t, Options{Schemas: s, SendMissing: true}, &topics{maxBytes: 1 << 20}, source, 1)
	for i, want := range []struct{ row, missing string }{
		{"\x0a\x01k\x22\x01b", `"kept,%0A"`}, {"\x0a\x01k\x22\x01c\x92\x7d\x01*", `"kept,%0A"`}, {"\x0a\x01k", `"kept,%0A",b`},
	} {
		if _, row := s.row(t, &all[i]); string(row) != want.row || all[i].Get(bus.Missing) != want.missing {
			t.Errorf("%d: the row is %q, without %s", i, row, all[i].Get(bus.Missing))
		}
	}
}

// What is too large leaves a letter that has no row, and a key without a row is gone.
func TestRowsThatAreNotThere(t *testing.T) {
	source := cdctest.NewSource("s")
	source.Insert("public", "t", "a")
	all := messagesOf(t, Options{Schemas: &schemas{}, Large: LargeAside}, &topics{maxBytes: 100}, source, 1)
	if m := &all[0]; len(all) != 1 || m.Topic != "p.dead" || m.Get(bus.Reason) != TooLarge || m.Get(bus.ContentType) == RowContent {
		t.Errorf("a row that is too large: %+v", all)
	}
	stream, err := cdc.Open(t.Context(), cdc.Config{Connector: source, Slot: "s", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	txn, err := stream.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Prefix: "p", Schemas: &schemas{}, Tombstones: true, AnyKeys: true, Keyed: true, Logger: slog.New(slog.DiscardHandler)}, &topics{partitions: 3, maxBytes: 1 << 20}, 0)
	p.BeginRead(7)
	for e, err := range txn.Events() {
		if err != nil {
			t.Fatal(err)
		}
		gone, err := p.Gone(t.Context(), e)
		if err != nil || len(gone) != 1 || gone[0].Value != nil || gone[0].Get(bus.LoadMark) != bus.Gone {
			t.Errorf("%+v, %v", gone, err)
		}
	}
}
