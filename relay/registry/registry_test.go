package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// The copy of the import is the original.
func TestImportIsTheOriginal(t *testing.T) {
	original, err := os.ReadFile("../../proto/cdc/v1/cdc.proto")
	if err != nil {
		t.Fatal(err)
	}
	if imported != string(original) {
		t.Error("registry/cdc.proto is not proto/cdc/v1/cdc.proto: copy it")
	}
}

// tables are all that are in the golden streams.
func tables(t *testing.T) (all []*schema.Table) {
	t.Helper()
	files, err := filepath.Glob("../../test/golden/*.pb")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	seen := map[schema.Fingerprint]bool{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		schemas := cdc.NewSchemaCache(cdc.Limits{})
		for reader := cdc.NewFileReader(f, cdc.Limits{}); ; {
			raw, err := reader.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := cdc.ParseBatch(bytes.Clone(raw), schemas)
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range b.Announced() {
				if !seen[table.Fingerprint] {
					seen[table.Fingerprint] = true
					all = append(all, table)
				}
			}
		}
	}
	return all
}

// compiled gives the message of a file, as a compiler that fetches imports from a registry sees it.
func compiled(t testing.TB, text string) protoreflect.MessageDescriptor {
	t.Helper()
	c := protocompile.Compiler{Resolver: &protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"row.proto": text, Import: imported})}}
	files, err := c.Compile(context.Background(), "row.proto")
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if n := files[0].Messages().Len(); n != 1 {
		t.Fatalf("%d messages, not one", n)
	}
	return files[0].Messages().Get(0)
}

// Every table of the golden streams has a file that compiles, whose message takes its rows.
func TestProtoFitsEveryTable(t *testing.T) {
	for _, table := range tables(t) {
		text, imports := Proto(table, 0)
		if imports != strings.Contains(text, "import ") {
			t.Errorf("%v: import %t", table, imports)
		}
		m := compiled(t, text)
		if err := cdc.Fits(m, table); err != nil {
			t.Errorf("%v: %v in\n%s", table, err, text)
		}
		fields := 0
		for i := range table.Columns {
			c := &table.Columns[i]
			number := c.Number
			if c.Redaction != 0 {
				number += 2000
			}
			if f := m.Fields().ByNumber(protoreflect.FieldNumber(number)); f != nil {
				fields++
				if !f.HasOptionalKeyword() {
					t.Errorf("%v: a zero would be absent", f.FullName())
				}
			}
		}
		if fields != m.Fields().Len() {
			t.Errorf("%v: %d of %d fields are of columns", table, fields, m.Fields().Len())
		}
	}
}

// odd gives a table as a stream would describe it.
func odd(t *testing.T, name string, columns ...*cdcv1.Column) *schema.Table {
	t.Helper()
	content, err := proto.Marshal(&cdcv1.Table{Schema: "odd schema.with dot", Name: name, Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	table, err := schema.ParseTable(content, schema.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func columns(names ...string) (list []*cdcv1.Column) {
	for i, name := range names {
		list = append(list, &cdcv1.Column{Number: uint32(i + 1), Name: name, Type: cdcv1.Type_TYPE_INT32, PgType: "pg_catalog.int4"})
	}
	return list
}

// Names are those that cdc.proto() gives: these lines are of its own test (expected/proto.out).
func TestProtoNamesAreThoseOfTheServer(t *testing.T) {
	for _, c := range []struct {
		table string
		names []string
		want  []string
	}{
		{"collisions", []string{"a_b", "ab", "AB", "a b", "aB", "a__b", "A_b_", "other", "x_12", "x", "X", "x_10", "x-"},
			[]string{"package cdc.rows.odd_schema_with_dot_4a87a4c6.collisions.v1;", "message Collisions {", "  // a_b: pg_catalog.int4\n  optional sint32 a_b_1 = 1;", "  optional sint32 a_b_4 = 4;", "  // \"A_b_\": pg_catalog.int4\n  optional sint32 A_b__7 = 7;",
				"  // pg_catalog.int4\n  optional sint32 other = 8;", "optional sint32 x_12 = 9;", "optional sint32 x_10_10 = 10;", "optional sint32 x_10_12 = 12;", "optional sint32 x__13 = 13;"}},
		{"9 lives", []string{"a-", "a_1", "a+", "a_3"},
			[]string{"// Rows of \"odd schema.with dot\".\"9 lives\", schema ", "._9_lives_39e7344e.v1;", "message Table9Lives {", "optional sint32 a__1_1 = 1;", "optional sint32 a_1_2 = 2;", "optional sint32 a__3_3 = 3;", "optional sint32 a_3_4 = 4;"}},
		{"Ж", []string{"日本", "_", "quo\"te", "slash//comment", "tab\t", "optional", "1st"},
			[]string{".___7c2d86e9.v1;", "message Table {", "optional sint32 _______1 = 1;", "optional sint32 _ = 2;", "// \"quo\"\"te\": pg_catalog.int4", "optional sint32 slash__comment_4 = 4;", "// \"tab \": pg_catalog.int4\n", "  // pg_catalog.int4\n  optional sint32 optional = 6;", "optional sint32 _1st_7 = 7;"}},
		{"order_item", []string{"*/ message X {} /*\u202e"}, []string{"message OrderItem {", "// \"* / message X {} / * \": "}},
	} {
		text, _ := Proto(odd(t, c.table, columns(c.names...)...), 0)
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
		compiled(t, text)
	}
}

func TestProtoReservesWhatNoColumnHas(t *testing.T) {
	redacted := columns("a", "b", "c", "d")
	redacted[0].Number, redacted[1].Number, redacted[2].Number, redacted[3].Number = 2, 5, 6, 7
	redacted[1].Redaction, redacted[2].Redaction = cdcv1.Redaction_REDACTION_MASK, cdcv1.Redaction_REDACTION_DROP
	text, _ := Proto(odd(t, "t", redacted...), 3)
	for _, want := range []string{".t.v3;", "  reserved 1, 3, 4, 5, 6;\n", "optional string b_redacted = 2005;", "// c: pg_catalog.int4, redacted: dropped\n  // pg_catalog.int4\n  optional sint32 d = 7;"} {
		if !strings.Contains(text, want) && !strings.Contains(strings.ReplaceAll(text, "c_redacted", "c"), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	compiled(t, text)
}

func client(t *testing.T, c config.Registry) *Client {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A type is registered once, its import with it, and another table version is another version of the subject.
func TestRegister(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	c := client(t, config.Registry{URL: []string{fake.URL()}})
	ids := map[int]bool{}
	for _, table := range tables(t) {
		topic := "p." + table.Fingerprint.String()
		id, err := c.Register(t.Context(), topic, table, 2)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := client(t, config.Registry{URL: []string{fake.URL()}}).Register(t.Context(), topic, table, 2); err != nil || again != id || ids[id] {
			t.Errorf("%v has the id %d and %d: %v", table, id, again, err)
		}
		ids[id] = true
		has, _ := fake.GetSchema(topic+"-value", 1)
		text, imports := Proto(table, 2)
		if has.ID != id || has.Type != sr.TypeProtobuf || has.Schema.Schema != text || (len(has.References) == 1) != imports {
			t.Errorf("%v is registered as %+v", table, has)
		}
		if imports && has.References[0] != (sr.SchemaReference{Name: Import, Subject: Import, Version: 1}) {
			t.Errorf("%v refers to %+v", table, has.References)
		}
	}
	if is, ok := fake.GetSchema(Import, 1); !ok || is.Schema.Schema != imported {
		t.Error("the import is not there")
	}
	first, second := odd(t, "t", columns("a")...), odd(t, "t", columns("a", "b")...)
	a, err1 := c.Register(t.Context(), "t", first, 0)
	b, err2 := c.Register(t.Context(), "t", second, 0)
	if is, ok := fake.GetSchema("t-value", 2); err1 != nil || err2 != nil || a == b || !ok || is.ID != b {
		t.Errorf("ids %d and %d, version 2 is %+v: %v, %v", a, b, is, err1, err2)
	}
}

// What asks for somebody's help is told from what may be otherwise the next time.
func TestRegistryRefuses(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	c := client(t, config.Registry{URL: []string{fake.URL()}})
	table := odd(t, "t", columns("a")...)
	for status, permanent := range map[int]bool{401: true, 403: true, 409: true, 422: true, 301: true, 408: false, 429: false, 500: false, 503: false} {
		fake.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/versions") || status == 401 {
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"error_code": %d01, "message": "told so"}`, status)
				return true
			}
			return false
		})
		_, err := c.Register(t.Context(), "t", table, 0)
		var config *bus.ConfigError
		if errors.As(err, &config) != permanent || err == nil || !strings.Contains(err.Error(), "told so") || !strings.Contains(err.Error(), "t-value") {
			t.Errorf("%d: %v", status, err)
		}
		fake.ClearInterceptors()
	}
	if _, err := c.Register(t.Context(), "t", table, 0); err != nil {
		t.Error("it goes on:", err)
	}
	fake.Close()
	var config *bus.ConfigError
	if _, err := c.Register(t.Context(), "t", table, 0); err == nil || errors.As(err, &config) {
		t.Error("a registry that is away:", err)
	}
}

// typed answers as registries do that know Protobuf, or do not.
func typed(fake *srfake.Registry, types ...string) {
	fake.ClearInterceptors()
	fake.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/schemas/types" {
			return false
		}
		_ = json.NewEncoder(w).Encode(types)
		return true
	})
}

func TestCheck(t *testing.T) {
	fake := srfake.New(srfake.WithAuth("Basic dXNlcjpzZWNyZXQ="))
	defer fake.Close()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	typed(fake, "AVRO", "PROTOBUF")
	good := config.Registry{URL: []string{fake.URL()}, User: "user", PasswordFile: password}
	if _, err := client(t, good).Register(t.Context(), "t", odd(t, "t", columns("a")...), 0); err != nil {
		t.Error(err)
	}
	if err := client(t, good).Check(t.Context()); err != nil {
		t.Error(err)
	}
	wrong := config.Registry{URL: good.URL}
	if _, err := client(t, wrong).Register(t.Context(), "t", odd(t, "t", columns("a")...), 0); err == nil || !strings.Contains(err.Error(), "HTTP 401") {
		t.Error("without a password:", err)
	}
	typed(fake, "AVRO")
	if err := client(t, good).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "does not know Protobuf") {
		t.Error(err)
	}
	away := config.Registry{URL: []string{"http://127.0.0.1:1"}}
	if err := client(t, away).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Error(err)
	}
}

func TestTLSIsVerified(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	certs := verify.NewCerts(t)
	server := httptest.NewUnstartedServer(fake.Handler())
	server.TLS = certs.Server(t)
	server.TLS.ClientAuth = 0
	server.StartTLS()
	defer server.Close()
	table := odd(t, "t", columns("a")...)
	if _, err := client(t, config.Registry{URL: []string{server.URL}, CA: certs.CA}).Register(t.Context(), "t", table, 0); err != nil {
		t.Error(err)
	}
	if _, err := client(t, config.Registry{URL: []string{server.URL}}).Register(t.Context(), "t", table, 0); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error("an unknown authority:", err)
	}
	if _, err := New(config.Registry{URL: []string{server.URL}, CA: certs.Key}); err == nil {
		t.Error("a file without certificates is taken")
	}
}
