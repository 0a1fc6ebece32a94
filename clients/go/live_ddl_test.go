package cdc_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
)

// sentTables are the tables of a database that a stream without options sends.
const sentTables = `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cdc') ORDER BY 1`

// schemaOf gives a table's schema as the stream has it now.
func (d *database) schemaOf(table string) *cdc.Table {
	d.t.Helper()
	raw, err := hex.DecodeString(d.query("SELECT encode(s, 'hex') FROM cdc.snapshot('" + table + "') s")[0][0])
	if err != nil {
		d.t.Fatal(err)
	}
	if raw, err = cdc.Unframe(raw); err != nil {
		d.t.Fatal(err)
	}
	b, err := cdc.ParseBatch(raw, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		d.t.Fatal(err)
	}
	return b.Announced()[0]
}

// sameTables sees to it that a state has the tables that there are: their names, columns, keys
// and rows. It gives the names.
func (d *database) sameTables(t *testing.T, state cdc.State) (names []string) {
	t.Helper()
	for _, row := range d.query(sentTables) {
		d.exec("BEGIN ISOLATION LEVEL REPEATABLE READ")
		table := d.schemaOf(row[0])
		d.exec("COMMIT")
		relation := table.String()
		names = append(names, relation)
		held, err := state.Schema(context.Background(), relation)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(held, table.Bytes) {
			t.Errorf("%s has another schema:\n%s\n%s", relation, describe(held), describe(table.Bytes))
		}
		d.sameRows(t, state, row[0], relation)
	}
	return names
}

func describe(table []byte) string {
	if len(table) == 0 {
		return "none"
	}
	parsed, err := cdc.ParseTable(table, cdc.Limits{})
	return fmt.Sprintf("%+v %v", parsed, err)
}

func (d *database) sameRows(t *testing.T, state cdc.State, table, relation string) {
	t.Helper()
	want := map[string]int{}
	schema, name, _ := strings.Cut(strings.ReplaceAll(table, `"`, ""), ".")
	for _, row := range d.snapshot(schema + `"."` + name) {
		want[row]++
	}
	n := 0
	err := state.Scan(context.Background(), relation, func(_ []byte, row cdc.Row) error {
		n++
		row = cdc.WithoutLoadMark(row)
		if want[string(row)]--; want[string(row)] < 0 {
			t.Errorf("%s: a row that the source does not have: %q", relation, row)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for row, left := range want {
		if left > 0 {
			t.Errorf("%s: %d rows are missing: %q", relation, left, row)
		}
	}
}

// ddlHistory are transactions, each of what a copy must follow.
var ddlHistory = []string{
	// made
	"CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'a1'), (2, 'a2')",
	"CREATE TABLE b (id int PRIMARY KEY, v text)",
	"INSERT INTO b VALUES (1, 'b1')",
	"CREATE TABLE made AS SELECT * FROM a; INSERT INTO made VALUES (9, 'by itself')",
	"ALTER TABLE made REPLICA IDENTITY FULL",
	"UPDATE made SET v = 'new' WHERE id = 9; DELETE FROM made WHERE id = 1",
	`CREATE SCHEMA s CREATE TABLE t (id int PRIMARY KEY) CREATE TABLE u (id int PRIMARY KEY, n numeric)`,
	"INSERT INTO s.t VALUES (1), (2); INSERT INTO s.u VALUES (1, 1.50)",
	// names
	"ALTER TABLE a RENAME TO c",
	"UPDATE c SET v = 'as c' WHERE id = 1; DELETE FROM c WHERE id = 2",
	`ALTER TABLE c RENAME TO "C"; INSERT INTO "C" VALUES (3, 'upper')`,
	`ALTER TABLE "C" RENAME TO a`,
	"ALTER TABLE a RENAME TO third; ALTER TABLE b RENAME TO a; ALTER TABLE third RENAME TO b",
	"UPDATE a SET v = 'was b'; UPDATE b SET v = 'was a' WHERE id = 1",
	"INSERT INTO a VALUES (50, 'between'); ALTER TABLE a RENAME TO third; INSERT INTO third VALUES (51, 'third'); ALTER TABLE b RENAME TO a; INSERT INTO a VALUES (52, 'swapped'); ALTER TABLE third RENAME TO b; DELETE FROM b WHERE id = 50",
	"ALTER TABLE a RENAME v TO w; UPDATE a SET w = 'renamed column' WHERE id = 1",
	"ALTER TABLE s.t SET SCHEMA public",
	"INSERT INTO t VALUES (3)",
	`ALTER SCHEMA s RENAME TO "S 2"`,
	`INSERT INTO "S 2".u VALUES (2, 'NaN')`,
	// columns
	"ALTER TABLE a ADD x int DEFAULT 5",
	"ALTER TABLE a ADD y float8 DEFAULT random()",
	"ALTER TABLE a DROP x, ALTER w TYPE varchar(100)",
	"ALTER TABLE a ALTER id TYPE bigint; INSERT INTO a VALUES (1::int8 << 40, 'large', 1)",
	"CREATE TABLE empty (id int PRIMARY KEY, v int)",
	"ALTER TABLE empty ALTER v TYPE text USING 'x' || v",
	"INSERT INTO empty VALUES (1, 'x')",
	// keys
	"ALTER TABLE b DROP CONSTRAINT b_pkey; ALTER TABLE b REPLICA IDENTITY FULL",
	"INSERT INTO b VALUES (1, 'twice'), (1, 'twice'); UPDATE b SET v = 'full' WHERE ctid = (SELECT max(ctid) FROM b)",
	"DELETE FROM b a WHERE EXISTS (SELECT FROM b WHERE b.id = a.id AND b.ctid < a.ctid); ALTER TABLE b ADD PRIMARY KEY (id); ALTER TABLE b REPLICA IDENTITY DEFAULT",
	"UPDATE b SET id = id + 100; DELETE FROM b WHERE id = 101",
	"ALTER TABLE b DROP CONSTRAINT IF EXISTS a_pkey, DROP CONSTRAINT IF EXISTS b_pkey; ALTER TABLE b ALTER v SET NOT NULL; ALTER TABLE b ADD PRIMARY KEY (v)",
	"UPDATE b SET id = 7; DELETE FROM b WHERE v = 'third'",
	// gone
	"DROP TABLE t",
	"CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (77)",
	"INSERT INTO t VALUES (78); DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (79)",
	"DROP TABLE t; CREATE TABLE t AS SELECT 1 AS other, 'x' AS columns",
	"INSERT INTO made VALUES (10, 'x'); ALTER TABLE made RENAME TO moved; CREATE TABLE made AS SELECT 'new' AS v",
	`DROP SCHEMA "S 2" CASCADE`,
	"CREATE SCHEMA z; CREATE TABLE z.a (id int); CREATE TABLE z.b (id int); INSERT INTO z.a VALUES (1)",
	"DROP SCHEMA z CASCADE",
	// not to be
	"CREATE TABLE never (id int); INSERT INTO never VALUES (1); SAVEPOINT s; ALTER TABLE a RENAME TO nowhere; DROP TABLE b; ALTER TABLE never RENAME TO ever; INSERT INTO ever VALUES (2); ROLLBACK TO s; INSERT INTO a VALUES (5, 'kept', 2); DROP TABLE never",
	"SAVEPOINT s; DROP TABLE a; CREATE TABLE a (other int); INSERT INTO a VALUES (1); ROLLBACK TO s; UPDATE a SET w = 'still' WHERE id = 5",
	"DO $$ BEGIN ALTER TABLE a RENAME TO nowhere; RAISE 'x'; EXCEPTION WHEN raise_exception THEN INSERT INTO a VALUES (6, 'caught', 3); END $$",
	"DO $$ BEGIN FOR i IN 1..5 LOOP EXECUTE format('CREATE TABLE loop_%s (id int PRIMARY KEY)', i); EXECUTE format('INSERT INTO loop_%s VALUES (%s)', i, i); END LOOP; DROP TABLE loop_2, loop_4; END $$",
	// out of the stream and into it
	"ALTER TABLE loop_1 SET UNLOGGED",
	"INSERT INTO loop_1 VALUES (100)",
	"ALTER TABLE loop_1 SET LOGGED",
	"INSERT INTO loop_1 VALUES (200)",
	// partitions
	"CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
	"INSERT INTO p SELECT i, 'v' FROM generate_series(1, 15) i",
	"ALTER TABLE p ADD w int DEFAULT 3; UPDATE p SET id = 12 WHERE id = 2 AND false; UPDATE p SET w = 4 WHERE id > 8",
	"ALTER TABLE p DETACH PARTITION p2; ALTER TABLE p2 RENAME TO alone",
	"INSERT INTO alone VALUES (16, 'x'); DROP TABLE p",
	"TRUNCATE a, b",
}

// copying is a copy that is compared with its source.
type copying struct {
	d       *database
	stream  *cdc.Stream
	state   cdc.State
	applier *cdc.Applier
	markers int
	names   []string
}

// step applies what there is, and compares.
func (c *copying) step(t *testing.T) (streamed, prepared int) {
	t.Helper()
	c.markers++
	marker := fmt.Sprint("marker ", c.markers)
	c.d.exec("SELECT pg_logical_emit_message(false, 'marker', '" + marker + "')")
	streamed, prepared = follow(t, c.stream, c.applier, marker)
	names := c.d.sameTables(t, c.state)
	for _, name := range c.names {
		if slices.Contains(names, name) || c.d.value("SELECT to_regclass('"+name+"')") != "" { // it is not sent any more
			continue
		}
		if held, err := c.state.Schema(context.Background(), name); len(held) > 0 || err != nil {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	c.names = names
	return streamed, prepared
}

// A copy that is made of nothing but the stream equals its source after every transaction.
func TestLiveDDL(t *testing.T) {
	for _, c := range []struct {
		name                string
		streaming, twoPhase bool
		postgres            bool
	}{{"memory", false, false, false}, {"postgres", false, false, true}, {"streaming", true, false, false}, {"two phase", true, true, false}} {
		t.Run(c.name, func(t *testing.T) {
			d := live(t)
			config := d.config(t)
			config.Options = map[string]string{"messages": "marker"}
			if c.streaming {
				config.Options["streaming"] = "on"
			}
			if c.twoPhase {
				config.Options["two_phase"] = "on"
			}
			var state cdc.State = cdc.NewMemoryState()
			if c.postgres {
				own := &cdc.PostgresState{Conn: "dbname=" + d.second(), Name: "copy", CreateTables: true}
				t.Cleanup(func() { _ = own.Close(context.Background()) })
				state = own
			}
			copied := &copying{d: d, stream: d.open(config), state: state, applier: cdc.NewApplier(state)}
			d.exec("CREATE TABLE padding (id int, v text)")
			streamed, prepared := 0, 0
			for n, sql := range ddlHistory {
				s, p := copied.run(t, n, sql, c.streaming && n%3 > 0, c.twoPhase && n%2 == 0)
				if streamed, prepared = streamed+s, prepared+p; t.Failed() {
					t.Fatal(sql)
				}
			}
			if (streamed > 0) != c.streaming || (prepared > 0) != c.twoPhase {
				t.Errorf("%d streamed transactions, %d prepared ones", streamed, prepared)
			}
		})
	}
}

// run runs a transaction, large enough to be streamed, or prepared before it is committed, and
// compares.
func (c *copying) run(t *testing.T, n int, sql string, large, prepare bool) (streamed, prepared int) {
	t.Helper()
	begin, commit := "BEGIN; ", "; COMMIT"
	if large {
		padding := "INSERT INTO padding SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i; "
		begin, commit = begin+padding, "; TRUNCATE padding"+commit
	}
	if prepare {
		gid := fmt.Sprint(c.d.name, n)
		c.d.exec(begin + sql + strings.TrimSuffix(commit, "COMMIT") + "PREPARE TRANSACTION '" + gid + "'")
		commit = "COMMIT PREPARED '" + gid + "'"
		begin, sql = "", ""
	}
	c.d.exec(begin + sql + commit)
	return c.step(t)
}
