package plan

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/relay/bus"
)

// Loads, with which options their messages are made, and the files.
var goldenLoads = []struct {
	files   string
	options Options
}{
	{"load/batch", Options{Keyed: true, Tombstones: true, AnyKeys: true}},
	{"load/json", Options{Keyed: true, JSON: true}},
	{"row/load", Options{Keyed: true, Schemas: &schemas{}}},
}

// Rows that were read, marks of a load, and a key that has no row. The rows are those that a recorded stream has inserted.
func TestGoldenLoads(t *testing.T) {
	for _, g := range goldenLoads {
		t.Run(g.files, func(t *testing.T) {
			g.options.Prefix, g.options.Logger = "p", slog.New(slog.DiscardHandler)
			p := New(g.options, &topics{partitions: 3, maxBytes: 1 << 30}, 0x100)
			messages := loaded(t, p, inserted(t, "../../test/golden/identity.pb"))
			compare(t, "../../test/golden/relay/"+g.files+".messages", encoded(t, messages))
			if s, ok := g.options.Schemas.(*schemas); ok {
				compare(t, "../../test/golden/relay/"+g.files+".json", s.read(t, messages))
				return
			}
			compare(t, "../../test/golden/relay/"+g.files+".json", read(t, messages))
		})
	}
}

// loaded gives the messages of rows, between the marks of their load, and of those with a key as if they were gone since.
func loaded(t *testing.T, p *Plan, rows *cdc.Batch) (all []bus.Message) {
	t.Helper()
	p.StartAt(cdc.Position{CommitLSN: 0x262F970, LSN: 0x262F8E8}, here)
	add := func(list []bus.Message, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list...)
	}
	p.BeginRead(7)
	topic := p.TopicOfTable(rows)
	relation := rows.Announced()[0].String()
	add(p.LoadMark(t.Context(), topic, relation, "begin", 7))
	for c := rows.Events(); c.Next(); {
		add(p.Event(t.Context(), c.Event()))
	}
	add(p.LoadMark(t.Context(), topic, relation, "end", 7))
	p.EndRead()
	p.BeginRead(8) // a letter is sent again
	for c := rows.Events(); c.Next(); {
		if len(c.Event().Key) > 0 {
			add(p.Gone(t.Context(), alone(t, rows, c.Event())))
		}
	}
	p.EndRead()
	return all
}

// alone is the key of an event, without its row.
func alone(t *testing.T, b *cdc.Batch, e *cdc.Event) *cdc.Event {
	t.Helper()
	var content cdcv1.Batch
	if err := proto.Unmarshal(b.Raw(), &content); err != nil {
		t.Fatal(err)
	}
	content.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpRead, Schema: uint64(e.Fingerprint), Key: e.Key}}
	c := parsed(t, &content).Events()
	c.Next()
	return c.Event()
}

// inserted gives the rows that a recorded stream has inserted, as one that reads the tables would.
func inserted(t *testing.T, file string) *cdc.Batch {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows cdcv1.Batch
	for reader := cdc.NewFileReader(f, cdc.Limits{}); ; {
		raw, err := reader.Next()
		if err == io.EOF {
			return parsed(t, &rows)
		}
		var b cdcv1.Batch
		if err == nil {
			err = proto.Unmarshal(bytes.Clone(raw), &b)
		}
		if err != nil {
			t.Fatal(err)
		}
		rows.Schemas = append(rows.Schemas, b.Schemas...)
		for _, e := range b.Events {
			if e.Op == cdc.OpInsert {
				rows.Events = append(rows.Events, &cdcv1.ChangeEvent{Op: cdc.OpRead, Schema: e.Schema, Key: e.Key, New: e.New, Nulls: e.Nulls})
			}
		}
	}
}

func parsed(t *testing.T, content *cdcv1.Batch) *cdc.Batch {
	t.Helper()
	content.Snapshot = &cdcv1.Snapshot{Xmin: 769, Xmax: 771, Xip: []uint64{770}}
	raw, err := proto.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	b, err := cdc.ParseBatch(raw, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
