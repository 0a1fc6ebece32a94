package plan

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/relay/bus"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Streams of test/golden, and with which options their messages are made.
var golden = []struct {
	name    string // of the stream, and of the files unless they have another
	options Options
	files   string
	limit   int // of what the bus takes; 0: none
}{
	{"identity", Options{Keyed: true, Tombstones: true, AnyKeys: true}, "", 0},
	{"truncate", Options{Keyed: true}, "", 0},
	{"rewrite", Options{Keyed: true}, "", 0},
	{"messages", Options{Keyed: true}, "", 0},
	{"metadata", Options{}, "", 0},
	{"redacted", Options{Keyed: true}, "", 0},
	{"parts", Options{}, "", 0},
	{"names", Options{Keyed: true}, "", 0},
	{"schema_changes", Options{}, "", 0},
	{"json_null", Options{JSON: true}, "", 0},
	{"truncate", Options{Keyed: true, Markers: true}, "markers", 0},
	{"truncate", Options{Keyed: true, Markers: true, CloudEvents: "ce_"}, "cloudevents", 0},
	{"toast", Options{Keyed: true, Large: LargeReference}, "reference", 2000},
}

// Streams whose messages have rows as values, in test/golden/relay/row.
var goldenRows = []struct {
	name    string
	options Options
}{
	{"identity", Options{Keyed: true, Tombstones: true, AnyKeys: true, SendMissing: true}},
	{"old_full", Options{Keyed: true, OldFull: true}},
	{"toast", Options{SendMissing: true}},
	{"redacted", Options{Keyed: true, SendMissing: true}},
	{"rewrite", Options{Keyed: true}},
	{"truncate", Options{Keyed: true}},
	{"schema_changes", Options{}},
	{"messages", Options{Keyed: true}},
	{"types", Options{CloudEvents: "ce_"}},
	{"arrays", Options{}},
	{"json_null", Options{SendMissing: true}},
}

func TestGoldenRows(t *testing.T) {
	for _, g := range goldenRows {
		t.Run(g.name, func(t *testing.T) {
			s := &schemas{}
			g.options.Schemas = s
			messages := played(t, "../../test/golden/"+g.name+".pb", g.options, 1<<30)
			compare(t, "../../test/golden/relay/row/"+g.name+".messages", encoded(t, messages))
			compare(t, "../../test/golden/relay/row/"+g.name+".json", s.read(t, messages))
		})
	}
}

// goldenMessage is a line of the files.
type goldenMessage struct {
	Topic     string      `json:"topic"`
	Partition int32       `json:"partition"`
	Key       *string     `json:"key"`
	Value     *string     `json:"value"`
	Headers   [][2]string `json:"headers"`
}

func TestGoldenMessages(t *testing.T) {
	for _, g := range golden {
		files := cmp.Or(g.files, g.name)
		t.Run(files, func(t *testing.T) {
			messages := played(t, "../../test/golden/"+g.name+".pb", g.options, cmp.Or(g.limit, 1<<30))
			compare(t, "../../test/golden/relay/"+files+".messages", encoded(t, messages))
			compare(t, "../../test/golden/relay/"+files+".json", read(t, messages))
			if g.options.Large != "" {
				return
			}
			// The first copies are the events of the stream, none more and none less.
			var first []bus.Message
			for _, m := range messages {
				if copies := m.Get(bus.Copy); !m.IsMarker() && (copies == "" || strings.HasPrefix(copies, "1/")) {
					first = append(first, m)
				}
			}
			stream, err := os.ReadFile("../../test/golden/" + g.name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := events(read(t, first)), events(stream); got != want {
				t.Errorf("the events are\n%s\nnot\n%s", got, want)
			}
		})
	}
}

// played gives the messages of a recorded stream, with three partitions.
func played(t *testing.T, file string, o Options, limit int) []bus.Message {
	t.Helper()
	all, err := play(t, file, o, limit)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// play gives them up to the first event that is an error.
func play(t *testing.T, file string, o Options, limit int) (all []bus.Message, err error) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.Prefix, o.Logger, o.FailuresAside = "p", slog.New(slog.DiscardHandler), true
	p := New(o, &topics{partitions: 3, maxBytes: limit}, 0)
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	assembler, err := cdc.NewAssembler(cdc.AssemblerConfig{}, schemas)
	if err != nil {
		t.Fatal(err)
	}
	var said change.Connection
	for reader := cdc.NewFileReader(f, cdc.Limits{}); ; {
		raw, err := reader.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := cdc.ParseBatch(bytes.Clone(raw), schemas)
		if err != nil {
			t.Fatal(err)
		}
		said.Take(b)
		txn, err := assembler.Add(b)
		if err != nil {
			t.Fatal(err)
		}
		if txn == nil || txn.Outcome != cdc.OutcomeCommitted {
			continue
		}
		list, err := transaction(t.Context(), p, txn)
		if err != nil {
			return all, err
		}
		all = append(all, list...)
	}
}

func encoded(t *testing.T, messages []bus.Message) (lines []byte) {
	t.Helper()
	for _, m := range messages {
		g := goldenMessage{Topic: m.Topic, Partition: m.Partition, Key: hexOf(m.Key), Value: hexOf(m.Value)}
		for _, h := range m.Headers {
			g.Headers = append(g.Headers, [2]string{h.Name, h.Value})
		}
		line, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	return lines
}

func hexOf(b []byte) *string {
	if b == nil {
		return nil
	}
	text := hex.EncodeToString(b)
	return &text
}

// read gives what a reader makes of values, each alone: JSON, an empty line where there is none, and for what is of no event.
func read(t *testing.T, messages []bus.Message) (lines []byte) {
	t.Helper()
	for _, m := range messages {
		switch {
		case len(m.Value) == 0, m.IsMarker():
			lines = append(lines, '\n')
			continue
		case m.Get(bus.ContentType) == "application/json":
			lines = append(append(lines, m.Value...), '\n')
			continue
		}
		b, err := cdc.ParseBatch(m.Value, cdc.NewSchemaCache(cdc.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		if lines, err = b.AppendJSON(lines); err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

// events are the lines that are no outcomes.
func events(lines []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(lines)) {
		if strings.Contains(line, `"position":`) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what comes out; go test ./plan -update writes it anew:\n%s", file, got)
	}
}
