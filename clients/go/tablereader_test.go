package cdc_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/replica"
)

// A table in ranges, from its beginning and from any key on, whether there is a row with it or not.
func TestLiveTableReader(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE keyed (k text, i int, v text, PRIMARY KEY (k, i)); CREATE TABLE bare (x int); CREATE UNLOGGED TABLE unsent (i int PRIMARY KEY)")
	d.exec("INSERT INTO keyed SELECT 'a''\"' || g / 100, g, 'x' FROM generate_series(1, 1000) g; INSERT INTO bare VALUES (1), (2); ANALYZE")
	config := d.config(t)
	if err := d.open(config).Close(); err != nil { // makes the slot
		t.Fatal(err)
	}
	reader := &cdc.TableReader{Conn: config.Conn, Slot: config.Slot, LockTimeout: "5s"}
	defer reader.Close(t.Context())
	found, err := reader.Find(t.Context(), "keyed")
	if err != nil || found == nil || found.Relation != "public.keyed" || found.Rows != 1000 || found.RowBytes == 0 {
		t.Fatalf("%+v, %v", found, err)
	}
	ranges, key, err := reader.Ranges(t.Context(), found.OID, 10, nil)
	if err != nil || len(ranges) != 100 || fmt.Sprint(key) != "[k i]" {
		t.Fatalf("%d ranges by %v: %v", len(ranges), key, err)
	}
	if all := readKeys(t, reader, found.OID, ranges); len(all) != 1000 {
		t.Errorf("%d rows", len(all))
	}
	d.exec("DELETE FROM keyed WHERE i BETWEEN 300 AND 420")
	for _, i := range []int{1, 299, 300, 350, 420, 421, 425, 1000} {
		// in the order of the key's texts, where a'"10 is behind a'"1
		literal := fmt.Sprintf(`{"a'\"%d",%d}`, i/100, i)
		rest, _, err := reader.Ranges(t.Context(), found.OID, 10, &literal)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := strconv.Atoi(d.query(fmt.Sprintf(`SELECT count(*) FROM keyed WHERE (k, i) >= ('a''"%d', %d)`, i/100, i))[0][0])
		if rows := readKeys(t, reader, found.OID, rest); len(rows) < want || len(rows) > want+10 {
			t.Errorf("from %s: %d rows, not %d, in %d ranges", literal, len(rows), want, len(rest))
		}
	}
	sentAndNot(t, reader)
	d.exec("DROP TABLE keyed")
	if err := reader.Read(t.Context(), found.OID, cdc.TableRange{}, func(*cdc.TableView) error { return nil }, func(*cdc.Batch) error { return nil }); !replica.NotSent(err) {
		t.Errorf("of a table that is gone: %v", err)
	}
}

// sentAndNot asks about tables without a key, that are not sent, and that are not there.
func sentAndNot(t *testing.T, reader *cdc.TableReader) {
	t.Helper()
	bare, err := reader.Find(t.Context(), "public.bare")
	if err != nil {
		t.Fatal(err)
	}
	if ranges, key, err := reader.Ranges(t.Context(), bare.OID, 1, nil); err != nil || len(ranges) != 1 || key != nil {
		t.Errorf("without a key: %v, %v, %v", ranges, key, err)
	}
	all, err := reader.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range all {
		if sent, err := reader.Sent(t.Context(), table.OID); err != nil || !sent {
			t.Errorf("%s is sent: %v, %v", table.Relation, sent, err)
		}
	}
	if unsent, err := reader.Find(t.Context(), "unsent"); err != nil {
		t.Error(err)
	} else if sent, err := reader.Sent(t.Context(), unsent.OID); err != nil || sent {
		t.Errorf("an unlogged table is sent: %v, %v", sent, err)
	}
	if none, err := reader.Find(t.Context(), "nothing"); err != nil || none != nil {
		t.Errorf("%v, %v", none, err)
	}
	err = reader.Read(t.Context(), 1, cdc.TableRange{}, func(*cdc.TableView) error { return nil }, func(*cdc.Batch) error { return nil })
	if !replica.NotSent(err) {
		t.Errorf("of a table that is not there: %v", err)
	}
}

// readKeys reads ranges of a table, and looks at what comes with the rows.
func readKeys(t *testing.T, reader *cdc.TableReader, oid uint32, ranges []cdc.TableRange) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	viewed := func(v *cdc.TableView) error {
		if v.EndLSN == 0 || v.Snapshot.XMax == 0 || v.Relation == "" || v.Shape == "" {
			return fmt.Errorf("the view is %+v", v)
		}
		return nil
	}
	for _, part := range ranges {
		err := reader.Read(t.Context(), oid, part, viewed, func(b *cdc.Batch) error {
			for c := b.Events(); c.Next(); {
				keys[string(c.Event().Key)] = true
				if err := alone(c.Event()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// alone cuts a row out, and reads it.
func alone(e *cdc.Event) error {
	single, err := e.AppendSingle(nil, nil)
	if err != nil {
		return err
	}
	b, err := cdc.ParseBatch(single, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil || b.Len() != 1 {
		return fmt.Errorf("a row alone: %v", err)
	}
	if origin, err := b.Source(); err != nil || origin == nil {
		return fmt.Errorf("a row alone has no source: %v", err)
	}
	return nil
}
