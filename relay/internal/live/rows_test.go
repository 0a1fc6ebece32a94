package live

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

const rowTables = `
CREATE TABLE types (id int, code text, big bigint, small smallint, n numeric, d double precision, ok bool, at timestamptz, day date, clock timetz, span interval,
	bin bytea, uid uuid, doc jsonb, list int[], names text[], large text, gone int, PRIMARY KEY (id, code));
ALTER TABLE types REPLICA IDENTITY FULL, DROP gone, ADD later text DEFAULT 'older rows have this';
ALTER TABLE types ALTER large SET STORAGE EXTERNAL;
CREATE TABLE "Odd table" (id int PRIMARY KEY, "a b" text, "a_b" text, "größe" int, "message" text);
ALTER TABLE "Odd table" REPLICA IDENTITY FULL;
`

// rowChanges are done one after the other, with what cdc.proto() gives between them.
var rowChanges = []string{
	`INSERT INTO types SELECT g, 'c' || g, g * 10000000000, g, g / 7.0, g / 7.0, g % 2 = 0, '2026-01-01 00:00 UTC', '1969-07-20', '12:00:00+02', '1 mon 2 days',
		'\x00ff', gen_random_uuid(), '{"a": 1}', ARRAY[g, NULL], ARRAY['x', 'y'], repeat(g::text, 3000), 'now' FROM generate_series(1, 50) g;
	 INSERT INTO types (id, code) VALUES (99, ''), (0, 'zero')`,
	`UPDATE types SET n = NULL, ok = NOT ok WHERE id % 3 = 0; UPDATE types SET id = id + 100 WHERE id % 10 = 1; DELETE FROM types WHERE id % 10 = 2`,
	`ALTER TABLE types RENAME big TO bigger; ALTER TABLE types DROP small, ADD added timestamp DEFAULT 'infinity'; UPDATE types SET bigger = -1 WHERE id % 10 = 3`,
	`ALTER TABLE types ALTER n TYPE text; INSERT INTO types (id, code, n) VALUES (500, 'text', 'a text')`,
	`INSERT INTO "Odd table" VALUES (1, 'x', 'y', 3, NULL), (2, NULL, '', -3, 'm'); UPDATE "Odd table" SET "größe" = NULL WHERE id = 1`,
}

// Rows on the bus are those of the tables, and types in the registry what the server said of the tables as they were, though
// they were altered since, and the relay is killed.
func TestRowsOfTheServer(t *testing.T) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	fake := srfake.New()
	defer fake.Close()
	b := imitation(t)
	conn := database(t, "relay_rows", rowTables)
	r := newRelay(t, "relay_rows", b)
	r.env = []string{"CDC_RELAY_RELAY_VALUE=row", "CDC_RELAY_REGISTRY_URL=" + fake.URL()}
	protos := map[string]string{}
	for i, sql := range rowChanges {
		if i == 2 { // until then nobody reads, and the tables are altered before
			protosOf(ctx, t, conn, protos)
		}
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		protosOf(ctx, t, conn, protos)
		if i == 2 {
			r.start()
			waitFor(ctx, t, b, "public.types")
			r.kill()
		}
	}
	r.start()
	if _, err := conn.Exec(ctx, "INSERT INTO marker VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	waitFor(ctx, t, b, "public.marker")
	r.stop()
	all, err := b.read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.Once(all, false); err != nil {
		t.Error(err)
	}
	registered(t, fake, protos)
	for table, columns := range map[string]string{"types": "id, code, bigger, d, ok, n, large, later", `"Odd table"`: `id, "a b", "a_b", "größe", message`} {
		want, got := tableRows(ctx, t, conn, table, columns), topicRows(ctx, t, fake.URL(), all, table, strings.Split(columns, ", "))
		if !maps.Equal(want, got) || len(want) < 2 {
			t.Errorf("%s has\n%v\nnot\n%v", table, got, want)
		}
	}
}

// protosOf keeps what the server says of tables as they are now.
func protosOf(ctx context.Context, t *testing.T, conn *pgx.Conn, protos map[string]string) {
	t.Helper()
	for _, table := range []string{"types", `"Odd table"`} {
		var text string
		if err := conn.QueryRow(ctx, "SELECT cdc.proto($1::text::regclass)", table).Scan(&text); err != nil {
			t.Fatal(err)
		}
		protos[text] = table
	}
}

// registered looks whether each type that rows had is there as the server gave it: with the fingerprint, letter by letter.
func registered(t *testing.T, fake *srfake.Registry, protos map[string]string) {
	t.Helper()
	found := 0
	for _, subject := range []string{"cdc.public.types-value", "cdc.public.Odd-20table-value"} {
		for version := 1; ; version++ {
			is, ok := fake.GetSchema(subject, version)
			if !ok {
				break
			}
			found++
			if protos[is.Schema.Schema] == "" {
				t.Errorf("version %d of %s is not what the server gives:\n%s", version, subject, is.Schema.Schema)
			}
		}
	}
	if found != 4 {
		t.Errorf("%d types are registered, not 4", found)
	}
}

// tableRows gives the columns of a table's rows as text, by the first one.
func tableRows(ctx context.Context, t *testing.T, conn *pgx.Conn, table, columns string) map[string]string {
	t.Helper()
	list := strings.Split(columns, ", ")
	for i := range list {
		list[i] = fmt.Sprintf("coalesce(%s::text, 'NULL')", list[i])
	}
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT id::text, %s FROM %s", strings.Join(list, " || '|' || "), table))
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pair [2]string, err error) { return pair, row.Scan(&pair[0], &pair[1]) })
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, pair := range all {
		out[pair[0]] = pair[1]
	}
	return out
}

// topicRows does so with what a topic says, which has the last value of each key; as a sink reads it, by the registry alone.
func topicRows(ctx context.Context, t *testing.T, url string, all []bus.Message, table string, columns []string) map[string]string {
	t.Helper()
	reader, err := verify.NewRows(url)
	if err != nil {
		t.Fatal(err)
	}
	byKey := map[string]protoreflect.Message{}
	for i := range all {
		m := &all[i]
		if m.Get(bus.Relation) != "public."+table || m.Get(bus.Op) == "SCHEMA" {
			continue
		}
		if m.Get(bus.Rewrite) == "start" { // of this partition
			for key := range byKey {
				if strings.HasPrefix(key, fmt.Sprint(m.Partition, "|")) {
					delete(byKey, key)
				}
			}
		}
		key := fmt.Sprint(m.Partition, "|") + string(m.Key)
		if m.Value == nil {
			delete(byKey, key)
			continue
		}
		if byKey[key], err = reader.Read(ctx, m.Value); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]string{}
	for _, m := range byKey {
		var texts []string
		for _, column := range columns {
			texts = append(texts, fieldText(m, column))
		}
		out[texts[0]] = strings.Join(texts, "|")
	}
	return out
}

// fieldNames are those of fields that are not the column's.
var fieldNames = map[string]string{`"a b"`: "a_b_2", `"a_b"`: "a_b", `"größe"`: "gr____e_4"}

// fieldText gives a column as text.
func fieldText(m protoreflect.Message, column string) string {
	f := m.Descriptor().Fields().ByName(protoreflect.Name(cmp.Or(fieldNames[column], column)))
	if f == nil || !m.Has(f) {
		return "NULL"
	}
	return fmt.Sprint(m.Get(f).Interface())
}
