package live

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/load"
	"github.com/pgcdc/cdc/relay/pump"
)

// filled is what is there before the slot is: n of c grows alone, and pad is kept outside of the row.
const filled = `
CREATE TABLE c (id int PRIMARY KEY, n int NOT NULL, pad text);
ALTER TABLE c ALTER COLUMN pad SET STORAGE EXTERNAL;
CREATE TABLE nokey (x int, y text);
CREATE TABLE parted (id int, x text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (500);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (500) TO (10000);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
INSERT INTO a SELECT g, g, 'filled' FROM generate_series(1, 2000) g;
INSERT INTO b SELECT 'k' || g % 7, g, 'filled' FROM generate_series(1, 2000) g;
INSERT INTO c SELECT g, 0, repeat(g::text, 3000 / length(g::text)) FROM generate_series(1, 2000) g;
INSERT INTO nokey SELECT g, 'filled' FROM generate_series(1, 500) g;
INSERT INTO parted SELECT g, 'filled' FROM generate_series(1, 1000) g;
ANALYZE;
`

// growing changes rows of c.
var growing = []change{
	{40, "UPDATE c SET n = n + 1 WHERE id % 100 = {A} % 100"},
	{40, "UPDATE c SET n = n + 1 WHERE id = {A}"},
}

// moving changes keys of c, of rows that the stream does not have as a whole.
var moving = change{25, "UPDATE c SET n = n + 1, id = (id + 10000 + {B}) % 40000 WHERE id = (SELECT min(id) FROM c WHERE id > ({A} * 20)) AND NOT EXISTS (SELECT FROM c x WHERE x.id = (c.id + 10000 + {B}) % 40000)"}

// ofLoads have their end in the log when all that was there is loaded.
var ofLoads = []string{"public.a", "public.b", "public.c", "public.nokey", "public.parted_1", "public.parted_2", "public.marker", "public.ledger"}

// loads has tables loaded while they change, and faults happen.
func loads(t *testing.T, s *trial, more ...change) {
	s.before = []string{filled}
	s.env = append(s.env, "CDC_RELAY_RELAY_SNAPSHOT=initial", "CDC_RELAY_RELAY_SNAPSHOT_ROWS=100", "CDC_RELAY_RELAY_MARKERS=true", "CDC_RELAY_RELAY_CLOUDEVENTS=true")
	s.prepare(t)
	working, stopWork := context.WithCancel(s.ctx)
	defer stopWork()
	var workers sync.WaitGroup
	var committed atomic.Int64
	for i := range 3 {
		workers.Go(func() { work(working, t, s.database(), s.seed+uint64(i), &committed, append(more, growing...)...) })
	}
	list := s.fitting()
	for range 3 * s.rounds {
		s.running()
		s.sleep(200, 800)
		f := choose(s.random, list)
		s.count[f.name]++
		f.happens(s)
	}
	s.running()
	waitForEnds(s.ctx, t, s.b, ofLoads)
	stopWork()
	workers.Wait()
	s.execute("INSERT INTO marker VALUES (1)")
	s.running()
	s.recovered()
	all := s.messages()
	s.relay.stop()
	reads := checkLoads(t, all, s.b.single())
	checkCloud(t, all)
	if err := verify.Markers(withoutPartitions(all)); err != nil {
		t.Error(err)
	}
	got, err := verify.RebuildLoaded(all)
	if err != nil {
		t.Fatal(err)
	}
	want := source(t, s.connected(), "c", "parted_1", "parted_2")
	if d := verify.Differences(got, want); d != "" {
		t.Fatal(d)
	}
	t.Logf("%d transactions, %d messages, of which %d are rows of loads; the tables are the same; %v", committed.Load(), len(all), reads, s.count)
}

// withoutPartitions gives messages whose subjects of NATS are named as in markers.
func withoutPartitions(all []bus.Message) []bus.Message {
	renamed := slices.Clone(all)
	for i := range renamed {
		topic := renamed[i].Topic
		if at := strings.LastIndex(topic, ".p"); at > 0 && at == len(topic)-3 {
			renamed[i].Topic = topic[:at]
		}
	}
	return renamed
}

// checkCloud checks that each message is a CloudEvent with an id of its own.
func checkCloud(t *testing.T, all []bus.Message) {
	t.Helper()
	seen := map[string]bool{}
	for i := range all {
		m := &all[i]
		of := func(name string) string { return m.Get("ce_"+name) + m.Get("ce-"+name) }
		if id := of("id"); id == "" || seen[id] || of("type") != "cdc.v1."+m.Get(bus.Op) || of("source") != "/cdc/"+m.Get(bus.SourceName) || of("subject") != m.Get(bus.Relation) {
			t.Fatalf("the headers of message %d are %v", i, m.Headers)
		}
		seen[of("id")] = true
	}
}

// checkLoads checks that no row that was read is older than what the log has before it, and counts them.
func checkLoads(t *testing.T, all []bus.Message, single bool) (reads int) {
	t.Helper()
	if err := verify.Once(all, single); err != nil {
		t.Fatal(err)
	}
	latest := map[string]int64{}
	for i := range all {
		m := &all[i]
		if len(m.Value) == 0 || m.Get(bus.Relation) == "" {
			continue
		}
		if m.Get(bus.Op) == bus.Read {
			reads++
		}
		if m.Get(bus.Relation) != "public.c" {
			continue
		}
		b, err := cdc.ParseBatch(m.Value, cdc.NewSchemaCache(cdc.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		c := b.Events()
		c.Next()
		e := c.Event()
		column := e.Table().ColumnNamed("n")
		if column == nil {
			continue
		}
		v, ok, err := e.New.Find(column.Number)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		n, key := int64(int32(uint32(v.Bits)>>1)^-int32(v.Bits&1)), string(e.Key)
		if len(e.NewKey) > 0 {
			key = string(e.NewKey)
		}
		if e.Op == cdc.OpRead {
			if n < latest[key] {
				t.Errorf("at %s a row with n = %d is read after one with n = %d", m.Get(bus.Position), n, latest[key])
			}
		}
		latest[key] = max(latest[key], n)
		if len(e.NewKey) > 0 {
			delete(latest, string(e.Key))
		}
	}
	return reads
}

// waitForLoads asks the relay until all tables are loaded.
func waitForLoads(ctx context.Context, t *testing.T, admin string) {
	t.Helper()
	var status pump.Status
	for ctx.Err() == nil {
		if response, err := http.Get("http://" + admin + "/status"); err == nil {
			status = pump.Status{}
			err = json.NewDecoder(response.Body).Decode(&status)
			response.Body.Close()
			open := slices.ContainsFunc(status.Loads, func(s load.Status) bool { return s.State != "loaded" })
			if err == nil && len(status.Loads) > 0 && !open {
				return
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("the loads do not end: %+v", status)
}

// waitForEnds reads the log until loads of all relations have ended.
func waitForEnds(ctx context.Context, t *testing.T, b broker, relations []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		all, err := b.read(ctx)
		missing := []string{}
		ended := map[string]bool{}
		for i := range all {
			if all[i].Get(bus.LoadMark) == "end" {
				ended[all[i].Get(bus.Relation)] = true
			}
		}
		for _, relation := range relations {
			if !ended[relation] {
				missing = append(missing, relation)
			}
		}
		if err == nil && len(missing) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("loads of %s do not end: %v", strings.Join(missing, ", "), err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func TestLoadEmbedded(t *testing.T) {
	loads(t, &trial{name: "load_embedded", b: lonely{&embedded{t.TempDir(), freePort(t)}}}, moving)
}

func TestLoadFetch(t *testing.T) {
	loads(t, &trial{name: "load_fetch", b: lonely{&embedded{t.TempDir(), freePort(t)}}, env: fetching("load_fetch")}, moving)
}

func TestLoadNATS(t *testing.T) {
	loads(t, &trial{name: "load_nats", b: newExternal(t, 4*time.Second)})
}

func TestLoadKfake(t *testing.T) {
	loads(t, &trial{name: "load_kfake", b: imitation(t)})
}

func TestLoadKafka(t *testing.T) { loads(t, &trial{name: "load_kafka", b: newKafka(t)}) }

// A table again, by the command; and one that comes into the publication later.
func TestLoadAgain(t *testing.T) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	e := &embedded{t.TempDir(), freePort(t)}
	conn := database(t, "load_again", filled, "CREATE PUBLICATION p FOR TABLE a, marker", "CREATE TABLE late (id int PRIMARY KEY)", "INSERT INTO late VALUES (1), (2)")
	admin := freePort(t)
	r := newRelay(t, "load_again", e)
	r.env = []string{"CDC_RELAY_RELAY_SNAPSHOT=initial", "CDC_RELAY_POSTGRES_OPTIONS_PUBLICATION_NAMES=p", "CDC_RELAY_ADMIN_LISTEN=" + admin}
	r.start()
	waitForEnds(t.Context(), t, e, []string{"public.a", "public.marker"})
	if _, err := conn.Exec(t.Context(), "ALTER PUBLICATION p ADD TABLE late"); err != nil {
		t.Fatal(err)
	}
	waitForEnds(t.Context(), t, e, []string{"public.late"})
	command := func(args ...string) (string, error) {
		cmd := exec.Command(r.cmd.Path, args...)
		cmd.Env = append(os.Environ(), r.env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := command("load", "--config", r.config, "b"); err == nil || !strings.Contains(out, "is not sent") {
		t.Errorf("a table that is not in the publication: %v %s", err, out)
	}
	if out, err := command("load", "--config", r.config, "a", "nothing"); err == nil || !strings.Contains(out, "there is no table") {
		t.Errorf("a table that is not there: %v %s", err, out)
	}
	if out, err := command("load", "--config", r.config, "public.a"); err != nil || !strings.Contains(out, "public.a is to be loaded") {
		t.Errorf("load: %v %s", err, out)
	}
	rows := map[string]int{}
	for range 100 {
		all, err := e.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		clear(rows)
		for i := range all {
			if m := &all[i]; len(m.Value) > 0 && m.Get(bus.Op) == bus.Read {
				rows[fmt.Sprint(m.Get(bus.Relation), " ", m.Get(bus.Load))]++
			}
		}
		if len(rows) == 3 && rows["public.a 4"] == 2000 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if fmt.Sprint(rows) != "map[public.a 1:2000 public.a 4:2000 public.late 3:2]" {
		t.Errorf("rows that were read, by table and load: %v", rows)
	}
	if out, err := command("status", "--config", r.config); err != nil || !strings.Contains(out, `"table":"public.a"`) {
		t.Errorf("status: %v %s", err, out)
	}
	r.stop()
}
