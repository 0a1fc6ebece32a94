package cdc_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
)

// Floats of any bits, times of any day, text of any character.
const insertWild = `INSERT INTO wild SELECT i,
		CASE i %% 5 WHEN 0 THEN (random() * 10 ^ (random() * 70 - 36))::float4 WHEN 1 THEN (2 ^ (i %% 120 - 60))::float4 WHEN 2 THEN i %% 2000000 ELSE random()::float4 END,
		CASE i %% 5 WHEN 0 THEN random() * 10 ^ (random() * 600 - 300) WHEN 1 THEN 2::float8 ^ (i %% 1000 - 500) WHEN 2 THEN 10::float8 ^ (i %% 46 - 23) ELSE (random() * 1e17)::float8 END,
		(random() * 10 ^ (random() * 40 - 10)::int)::numeric(60, 15), (SELECT string_agg(chr(c), '') FROM (SELECT 1 + (random() * 2000 + i %% 2)::int AS c FROM generate_series(1, 12)) x),
		jsonb_build_object('a' || chr(9) || '"', ARRAY[random(), i]), '{"x" : [ 1 , "a\" b" , null ]  }',
		decode(md5(i::text), 'hex'), md5(i::text)::uuid,
		'4713-01-01 BC'::timestamp + random() * interval '200000 years', '2000-01-01'::timestamptz + (random() - 0.5) * interval '4000 years',
		'2000-01-01'::date + ((random() - 0.3) * 1e6)::int, '00:00'::time + random() * interval '1 day',
		('00:00'::time + random() * interval '1 day')::timetz AT TIME ZONE make_interval(secs => (random() * 40000 - 20000)::int),
		make_interval(months => (random() * 100)::int, days => -i::int %% 50, secs => random()),
		ARRAY[random() * 1e20, NULL, 'NaN', '-Infinity', 1e-5], CASE i %% 3 WHEN 0 THEN '[0:2]={"a,b",NULL,"null"}'::text[] WHEN 1 THEN '{}' ELSE '{{"\\",""},{é," "}}' END,
		ARRAY[now(), NULL], ARRAY[1.50, 'NaN'], int4range(i::int %% 9, 12), (i %% 4294967296)::oid
		FROM generate_series(%d, %d) i`

// Random events decode to the same JSON here and in the server, to the byte. The
// number of events is CDC_EVENTS, by default 20000.
func TestLiveEquality(t *testing.T) {
	want := 20_000
	if n, err := strconv.Atoi(os.Getenv("CDC_EVENTS")); err == nil {
		want = n
	}
	d := live(t)
	d.exec(`CREATE TABLE wild (id bigint PRIMARY KEY, f4 real, f8 float8, n numeric, t text, j jsonb, js json, b bytea, u uuid,
		ts timestamp, tz timestamptz, d date, ti time, tt timetz, iv interval, fa float8[], ta text[], tsa timestamptz[], na numeric[], r int4range, o oid)`)
	d.exec("ALTER TABLE wild REPLICA IDENTITY FULL")
	d.exec("SELECT pg_create_logical_replication_slot('" + d.slot() + "', 'cdc')")
	seen := 0
	for from := 1; seen < want; from += 2000 {
		d.exec(fmt.Sprintf(insertWild, from, from+1999))
		d.exec(fmt.Sprintf("UPDATE wild SET f8 = -f8, t = NULL, tz = 'infinity', d = '-infinity' WHERE id %% 7 = 0 AND id BETWEEN %d AND %d; DELETE FROM wild WHERE id %% 2 = 0", from, from+1999))
		seen += d.equalChanges(t)
	}
	t.Logf("%d events", seen)
	d.equalSnapshot(t)
}

// Changes of schemas have the same JSON here and in the server.
func TestLiveSchemaEquality(t *testing.T) {
	d := live(t)
	d.exec("SELECT pg_create_logical_replication_slot('" + d.slot() + "', 'cdc')")
	d.exec("CREATE TABLE padding (id int, v text)")
	for _, sql := range ddlHistory {
		d.exec("BEGIN; " + sql + "; COMMIT")
	}
	d.exec(`CREATE TABLE "it's ""new" (id int PRIMARY KEY); ALTER TABLE "it's ""new" RENAME TO "é"; DROP TABLE "é"`)
	if n := d.equalChanges(t); n < 2*len(ddlHistory) {
		t.Errorf("%d events", n)
	}
}

// equalChanges compares what the slot has, and gives the number of events.
func (d *database) equalChanges(t *testing.T) (seen int) {
	t.Helper()
	rows := d.query(`SELECT encode(string_agg(data, ''::bytea ORDER BY n), 'hex'),
		(SELECT string_agg(line::text, E'\n') FROM cdc.decode_json(string_agg(data, ''::bytea ORDER BY n)) line)
		FROM (SELECT data, row_number() OVER () n FROM pg_logical_slot_get_binary_changes('` + d.slot() + `', NULL, NULL)) x`)
	data, err := hex.DecodeString(rows[0][0])
	if err != nil {
		t.Fatal(err)
	}
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	var got []byte
	var w cdc.JSONWriter
	for reader := cdc.NewFileReader(bytes.NewReader(data), cdc.Limits{}); ; {
		raw, err := reader.Next()
		if err != nil {
			break
		}
		b, err := cdc.ParseBatch(raw, schemas)
		if err != nil {
			t.Fatal(err)
		}
		seen += b.Len()
		if got, err = w.AppendBatch(got, b); err != nil {
			t.Fatal(err)
		}
	}
	g, s := bytes.Split(bytes.TrimRight(got, "\n"), []byte("\n")), bytes.Split([]byte(rows[0][1]), []byte("\n"))
	for i := range s {
		if i >= len(g) || !bytes.Equal(g[i], s[i]) {
			t.Fatalf("line %d of %d:\n  %.2000s\nserver:\n  %.2000s", i, len(g), g[min(i, len(g)-1)], s[i])
		}
	}
	if len(g) != len(s) {
		t.Fatalf("%d lines, the server has %d", len(g), len(s))
	}
	return seen
}

// equalSnapshot compares the rows that there are.
func (d *database) equalSnapshot(t *testing.T) {
	t.Helper()
	from := d.query("SELECT encode(s, 'hex'), (SELECT string_agg(line::text, E'\\n') FROM cdc.decode_json(s) line) FROM cdc.snapshot('wild', options => '{schemas,batch}') s")
	if len(from) < 2 {
		t.Error("one batch for all rows")
	}
	for _, row := range from {
		data, err := hex.DecodeString(row[0])
		if err != nil {
			t.Fatal(err)
		}
		raw, err := cdc.Unframe(data)
		if err != nil {
			t.Fatal(err)
		}
		b, err := cdc.ParseBatch(raw, cdc.NewSchemaCache(cdc.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.AppendJSON(nil)
		if err != nil || string(bytes.TrimRight(got, "\n")) != row[1] {
			t.Fatalf("%v\n  %.2000s\nserver:\n  %.2000s", err, got, row[1])
		}
	}
}
