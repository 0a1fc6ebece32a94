package plan

import (
	"bytes"
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
	name    string
	options Options
}{
	{"identity", Options{Keyed: true, Tombstones: true, AnyKeys: true}},
	{"truncate", Options{Keyed: true}},
	{"rewrite", Options{Keyed: true}},
	{"messages", Options{Keyed: true}},
	{"metadata", Options{}},
	{"redacted", Options{Keyed: true}},
	{"parts", Options{}},
	{"names", Options{Keyed: true}},
	{"schema_changes", Options{}},
	{"json_null", Options{JSON: true}},
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
		t.Run(g.name, func(t *testing.T) {
			messages := played(t, "../../test/golden/"+g.name+".pb", g.options)
			compare(t, "../../test/golden/relay/"+g.name+".messages", encoded(t, messages))
			compare(t, "../../test/golden/relay/"+g.name+".json", read(t, messages))
			// The first copies are the events of the stream, none more and none less.
			var first []bus.Message
			for _, m := range messages {
				if copies := m.Get(bus.Copy); copies == "" || strings.HasPrefix(copies, "1/") {
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
func played(t *testing.T, file string, o Options) (all []bus.Message) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.Prefix, o.Logger, o.FailuresAside = "p", slog.New(slog.DiscardHandler), true
	p := New(o, &topics{partitions: 3, maxBytes: 1 << 30}, 0)
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	assembler, err := cdc.NewAssembler(cdc.AssemblerConfig{}, schemas)
	if err != nil {
		t.Fatal(err)
	}
	var said change.Connection
	for reader := cdc.NewFileReader(f, cdc.Limits{}); ; {
		raw, err := reader.Next()
		if err == io.EOF {
			return all
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
			t.Fatal(err)
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

// read gives what a reader makes of values, each alone: JSON, an empty line for a tombstone.
func read(t *testing.T, messages []bus.Message) (lines []byte) {
	t.Helper()
	for _, m := range messages {
		switch {
		case m.Value == nil:
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
