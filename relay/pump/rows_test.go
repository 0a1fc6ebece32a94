package pump

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/plan"
	"github.com/pgcdc/cdc/relay/registry"
)

func rowReader(t *testing.T, url string) *verify.Rows {
	t.Helper()
	reader, err := verify.NewRows(url)
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

// rowsOf gives what the lines of a stream's JSON form say of the rows after its INSERTs, by position.
func rowsOf(t *testing.T, file string) map[string]map[string]any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]map[string]any{}
	for line := range strings.Lines(string(content)) {
		var e struct {
			Position, Op string
			Key, New     map[string]any
		}
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if e.Op != "INSERT" {
			continue
		}
		rows[e.Position] = map[string]any{}
		for _, part := range []map[string]any{e.Key, e.New} {
			for name, value := range part {
				rows[e.Position][name] = value
			}
		}
	}
	return rows
}

// compareRow looks whether a row has the columns of another one, and their values where both forms write them alike.
func compareRow(t *testing.T, m protoreflect.Message, want map[string]any) (compared int) {
	t.Helper()
	fields := 0
	m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { fields++; return true })
	if fields != len(want) {
		t.Errorf("a row of %s has %d columns, not %d", m.Descriptor().Name(), fields, len(want))
	}
	for name, value := range want {
		f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if f == nil || !m.Has(f) {
			t.Errorf("%s is not in a row of %s", name, m.Descriptor().Name())
			continue
		}
		switch f.Kind() {
		case protoreflect.BoolKind, protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Sint64Kind:
		case protoreflect.StringKind:
			if text, ok := value.(string); !ok || m.Get(f).String() == strconv.Quote(text) { // a number, or JSON
				continue
			}
		case protoreflect.Sint32Kind:
			if _, text := value.(string); text { // a date
				continue
			}
		default:
			continue
		}
		if _, text := value.(string); text && f.Kind() == protoreflect.Int64Kind { // a time
			continue
		}
		if compared++; fmt.Sprint(m.Get(f).Interface()) != fmt.Sprint(value) {
			t.Errorf("%s is %v, not %v", name, m.Get(f), value)
		}
	}
	return compared
}

// Rows go through each bus, once, though the registry is away at first; who has the registry
// alone reads them, and they are those of the source.
func TestRows(t *testing.T) {
	for _, name := range []string{"types", "arrays", "old_full", "truncate"} {
		eachBus(t, func(t *testing.T, to target) {
			fake := srfake.New()
			defer fake.Close()
			var requests atomic.Int64
			fake.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				away := requests.Add(1) <= 3
				if away {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				return away
			})
			source := cdctest.NewSource("s")
			f, err := os.Open("../../test/golden/" + name + ".pb")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := source.Play(f); err != nil {
				t.Fatal(err)
			}
			p := newPump(t, source, to.driver)
			p.Plan.OldFull = true
			if p.Plan.Schemas, err = registry.New(config.Registry{URL: []string{fake.URL()}}); err != nil {
				t.Fatal(err)
			}
			carried(t, source, p)
			fake.ClearInterceptors()
			checkRows(t, to, rowReader(t, fake.URL()), rowsOf(t, "../../test/golden/"+name+".json"))
		})
	}
}

func checkRows(t *testing.T, to target, reader *verify.Rows, want map[string]map[string]any) {
	t.Helper()
	all := to.read(t)
	if err := verify.Once(all, to.single); err != nil {
		t.Error(err)
	}
	seen, compared := 0, 0
	for _, m := range all {
		if m.Get(bus.ContentType) != plan.RowContent {
			t.Errorf("a message of content-type %q", m.Get(bus.ContentType))
		}
		if len(m.Value) == 0 {
			if op := m.Get(bus.Op); op == "INSERT" || op == "UPDATE" && m.Get(bus.KeyRole) != "old" {
				t.Errorf("%s without a row", op)
			}
			continue
		}
		row, err := reader.Read(t.Context(), m.Value)
		if err != nil {
			t.Error(err)
			continue
		}
		if after, ok := want[m.Get(bus.Position)]; ok {
			seen++
			compared += compareRow(t, row, after)
		}
	}
	if seen != len(want) || compared == 0 && seen > 0 && len(want) > 3 {
		t.Errorf("%d of %d rows are there, %d values were compared", seen, len(want), compared)
	}
}

// What a registry that is away meanwhile holds up comes later, once.
func TestRegistryAwayMeanwhile(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		fake := srfake.New()
		defer fake.Close()
		source := cdctest.NewSource("s")
		source.Insert("public", "t", "a", "b")
		p := newPump(t, source, to.driver)
		var err error
		if p.Plan.Schemas, err = registry.New(config.Registry{URL: []string{fake.URL()}}); err != nil {
			t.Fatal(err)
		}
		stop := running(t, p)
		confirmed(t, source)
		fake.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		})
		source.Insert("public", "t", "c") // whose type is known
		confirmed(t, source)
		source.Insert("public", "u", "d", "e")
		says(t, p, "p.public.u-value")
		fake.ClearInterceptors()
		confirmed(t, source)
		if err := stop(); err != nil {
			t.Error(err)
		}
		check(t, to, 5)
		reader := rowReader(t, fake.URL())
		for _, m := range to.read(t) {
			if row, err := reader.Read(t.Context(), m.Value); err != nil || !row.IsValid() {
				t.Error(err)
			}
		}
	})
}

// A registry that refuses ends the relay, with its words; check says so beforehand.
func TestRegistryRefuses(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	fake.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/versions") && r.URL.Path != "/schemas/types" {
			return false
		}
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"error_code": 409, "message": "not compatible"}`)
		return true
	})
	to := onKafka(t)
	source := cdctest.NewSource("s")
	source.Insert("public", "t", "a")
	p := newPump(t, source, to.driver)
	var err error
	if p.Plan.Schemas, err = registry.New(config.Registry{URL: []string{fake.URL()}}); err != nil {
		t.Fatal(err)
	}
	if wrong := p.Check(t.Context()); len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "not compatible") {
		t.Errorf("check says %v", wrong)
	}
	if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "p.public.t-value: not compatible") {
		t.Errorf("it ends with %v", err)
	}
	if all := to.read(t); len(all) != 0 {
		t.Errorf("there are %d messages", len(all))
	}
}
