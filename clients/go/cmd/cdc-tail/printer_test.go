package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

func print(t *testing.T, o options) string {
	t.Helper()
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	if err := newPrinter(out, os.Stdout, o).run(context.Background()); err != nil {
		t.Fatal(err)
	}
	out.Flush()
	return b.String()
}

func TestFiles(t *testing.T) {
	files, err := filepath.Glob("../../../../test/golden/*.pb")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		want, err := os.ReadFile(strings.TrimSuffix(file, "pb") + "json")
		if err != nil {
			t.Fatal(err)
		}
		if got := print(t, options{file: file, json: true}); got != string(want) {
			t.Errorf("%s differs", file)
		}
	}
}

func TestFilters(t *testing.T) {
	file := "../../../../test/golden/names.pb"
	all := print(t, options{file: file, json: true})
	if got := print(t, options{file: file, json: true, limit: 1}); !strings.HasPrefix(all, got) || strings.Count(got, "\n") != 1 {
		t.Error("one event:", got)
	}
	if got := print(t, options{file: file, json: true, tables: list{"no.such"}}); got != "" {
		t.Error("of no table:", got)
	}
	if got := print(t, options{file: "../../../../test/golden/truncate.pb"}); !strings.Contains(got, " TRUNCATE public.") || strings.Contains(got, "\x1b") {
		t.Error("plain:", got)
	}
}

func TestCutFile(t *testing.T) {
	data, err := os.ReadFile("../../../../test/golden/types.pb")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(name, data[:len(data)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{file: name, json: true}
	if err := newPrinter(bufio.NewWriter(&bytes.Buffer{}), os.Stdout, o).run(context.Background()); err == nil {
		t.Error("a cut file is printed as if it were whole")
	}
}

// Changes of schemas are printed, and are of the relation's former name, too.
func TestSchemaChanges(t *testing.T) {
	f, table := cdctest.Table("public", "new")
	raw, err := proto.Marshal(&cdcv1.Batch{
		Transaction: &cdcv1.Transaction{Xid: 7}, Schemas: []*cdcv1.SchemaVersion{{Fingerprint: uint64(f), Table: table}},
		Events: []*cdcv1.ChangeEvent{
			{Op: cdc.OpSchema, Schema: uint64(f), SchemaChange: &cdcv1.SchemaChange{Kind: cdc.SchemaAltered, CommandTag: "ALTER TABLE", FormerSchema: "public", FormerName: "old"}},
			{Op: cdc.OpSchema, SchemaChange: &cdcv1.SchemaChange{Kind: cdc.SchemaDropped, CommandTag: "DROP TABLE", FormerSchema: "public", FormerName: "new"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "changes")
	if err := os.WriteFile(name, cdc.AppendFrame(nil, raw), 0o600); err != nil {
		t.Fatal(err)
	}
	altered := "- SCHEMA public.new {\"change\":\"altered\",\"command\":\"ALTER TABLE\",\"former_relation\":\"public.old\"}\n"
	dropped := "- SCHEMA public.new {\"change\":\"dropped\",\"command\":\"DROP TABLE\",\"former_relation\":\"public.new\"}\n"
	for table, want := range map[string]string{"public.new": altered + dropped, "public.old": altered, "public.other": ""} {
		if got := print(t, options{file: name, tables: list{table}}); got != want {
			t.Errorf("%s:\n%s", table, got)
		}
	}
}
