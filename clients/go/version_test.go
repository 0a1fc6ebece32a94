package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

// insert adds a transaction with a row of public.t, whose schema has a version.
func insert(source *cdctest.Source, id string, version uint32, unmapped string) {
	fingerprint, table := cdctest.Table("public", "t")
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table, Version: version, Unmapped: unmapped}}
	b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpInsert, Schema: uint64(fingerprint), Key: append([]byte{0x0A, byte(len(id))}, id...)}}
	b.EventCount = 1
	source.Add(b)
}

// Rows in another version than the one that is expected stop the stream, are skipped, set
// aside, or handed on, and are counted.
func TestVersions(t *testing.T) {
	source := cdctest.NewSource("s")
	insert(source, "a", 1, "")
	insert(source, "b", 2, "column name can be NULL")
	insert(source, "c", 1, "")
	source.Insert("public", "t", "d") // announces it without a version
	versions := map[string]uint32{"public.t": 1}

	stream := opened(t, source, func(c *cdc.Config) { c.Versions = versions })
	if _, keys := next(t, stream); keys != "a" {
		t.Fatal(keys)
	}
	_, err := stream.Next(timeout(t, 10*time.Second))
	var wrong *cdc.VersionError
	if !errors.As(err, &wrong) || *wrong != (cdc.VersionError{Relation: "public.t", Want: 1, Got: 2, Unmapped: "column name can be NULL"}) ||
		!strings.Contains(err.Error(), "rows of public.t have version 2, not 1, and cannot be sent so: column name can be NULL") {
		t.Error(err)
	}

	for policy, want := range map[cdc.Policy]string{cdc.PolicySkip: "a, , c, ", cdc.PolicyDeadLetter: "a, , c, ", cdc.PolicyPass: "a, b, c, d"} {
		meter := newMeter()
		dir := t.TempDir()
		stream := opened(t, source, func(c *cdc.Config) {
			c.Versions, c.OnVersion, c.Metrics, c.DeadLetters = versions, policy, meter, cdc.DeadLetterDir(dir)
		})
		var all []string
		for range 4 {
			txn, keys := next(t, stream)
			all = append(all, keys)
			for e, err := range txn.Events() {
				if err != nil {
					t.Fatal(err)
				}
				if policy == cdc.PolicyPass && e.Version() != map[string]cdc.SchemaVersion{"a": {Major: 1}, "b": {Major: 2, Unmapped: "column name can be NULL"}, "c": {Major: 1}, "d": {}}[keys] {
					t.Errorf("%s: %+v", keys, e.Version())
				}
			}
		}
		if got := strings.Join(all, ", "); got != want {
			t.Errorf("policy %d: %q", policy, got)
		}
		if n := meter.count(cdc.VersionMismatchesTotal, "public.t"); n != 2 {
			t.Errorf("policy %d: %d mismatches", policy, n)
		}
		if letters, _ := filepath.Glob(filepath.Join(dir, "*-version-*.pb")); (len(letters) == 2) != (policy == cdc.PolicyDeadLetter) {
			t.Errorf("policy %d: %d letters", policy, len(letters))
		}
	}

	// a relation that is not registered
	stream = opened(t, source, func(c *cdc.Config) { c.Versions, c.OnVersion = map[string]uint32{"public.t": 9}, cdc.PolicySkip })
	if _, keys := next(t, stream); keys != "" {
		t.Error(keys)
	}
	text := (&cdc.VersionError{Relation: "public.t", Want: 1}).Error()
	if !strings.Contains(text, "the relation is not registered") {
		t.Error(text)
	}
}

// What is wrong with a configuration is said at once.
func TestVersionConfig(t *testing.T) {
	for want, change := range map[string]func(c *cdc.Config){
		"PolicyPass is for Config.OnVersion":  func(c *cdc.Config) { c.OnDamage = cdc.PolicyPass },
		"DeadLetters is nil":                  func(c *cdc.Config) { c.OnVersion = cdc.PolicyDeadLetter },
		`Compression is "gzip"`:               func(c *cdc.Config) { c.Compression = "gzip" },
		`option "compression" is given twice`: func(c *cdc.Config) { c.Compression, c.Options = "lz4", map[string]string{"compression": "zstd"} },
		`option "versions" is given twice`: func(c *cdc.Config) {
			c.Versions, c.RequestVersions, c.Options = map[string]uint32{"public.t": 1}, true, map[string]string{"versions": "public.t=2"}
		},
	} {
		config := cdc.Config{Slot: "s", Store: cdc.FileStore(filepath.Join(t.TempDir(), "c")), Connector: cdctest.NewSource("s")}
		change(&config)
		_, err := cdc.Open(context.Background(), config)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Events go to the handler of their relation and version.
func TestRouter(t *testing.T) {
	source := cdctest.NewSource("s")
	insert(source, "a", 1, "")
	insert(source, "b", 2, "")
	insert(source, "c", 3, "")
	stream := opened(t, source, nil)
	var router cdc.Router
	var got []string
	to := func(name string) cdc.Handler {
		return func(e *cdc.Event) error {
			got = append(got, fmt.Sprintf("%s v%d", name, e.Version().Major))
			return nil
		}
	}
	router.Handle("public.t", 1, to("one"))
	router.Handle("public.t", 2, to("two"))
	for i, want := range []string{"", "", "no handler for public.t.v3"} {
		txn, _ := next(t, stream)
		for e, err := range txn.Events() {
			if err != nil {
				t.Fatal(err)
			}
			if err := router.Route(e); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%d: %v", i, err)
			}
			if i == 2 {
				router.Otherwise(to("other"))
				if err := router.Route(e); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if fmt.Sprint(got) != "[one v1 two v2 other v3]" {
		t.Error(got)
	}
	if name := cdc.VersionedName("public.t", 0); name != "public.t" {
		t.Error(name)
	}
}

// A real server: compressed, over both transports, in the version that is read, with the
// table altered on the way.
func TestLiveVersions(t *testing.T) {
	d := live(t)
	d.exec(`CREATE TABLE t (id int PRIMARY KEY, name text); SELECT cdc.register('t')`)
	if major, err := cdc.RegisterReader(timeout(t, 10*time.Second), "dbname="+d.name, "billing", "public.t", 1); err != nil || major != 1 {
		t.Fatal(major, err)
	}
	if got := d.value("SELECT consumer || reads FROM cdc.readers"); got != "billing1" {
		t.Error(got)
	}
	if _, err := cdc.RegisterReader(timeout(t, 10*time.Second), "dbname="+d.name, "billing", "public.t", 7); err == nil {
		t.Error("a version that there is not")
	}
	config := d.config(t)
	config.Versions, config.RequestVersions, config.Compression = map[string]uint32{"public.t": 1}, true, "zstd"
	stream := d.open(config)
	d.exec(`SET client_min_messages = error; INSERT INTO t SELECT n, 'name ' || n FROM generate_series(1, 500) n`)
	if got := lines(t, receive(t, stream)); len(got) != 500 {
		t.Errorf("%d lines", len(got))
	}
	d.exec(`ALTER TABLE t RENAME name TO title; ALTER TABLE t ADD more int`)
	d.exec(`INSERT INTO t VALUES (501, 'x', 1)`)
	if got := lines(t, receive(t, stream)); len(got) != 1 || !strings.Contains(got[0], `"new":{"name":"x"}`) {
		t.Error(got)
	}
	d.exec(`ALTER TABLE t ALTER title TYPE int USING 1`)
	d.exec(`INSERT INTO t VALUES (502, 7, 1)`)
	_, err := stream.Next(timeout(t, 10*time.Second)) // the rewrite
	var wrong *cdc.VersionError
	if !errors.As(err, &wrong) || wrong.Want != 1 || wrong.Got != 3 || !strings.Contains(wrong.Unmapped, "column name is pg_catalog.int4 instead of pg_catalog.text") {
		t.Fatal(err)
	}
}

// By cdc.fetch(): what the slot's administrator stored.
func TestLiveVersionsFetch(t *testing.T) {
	d := live(t)
	d.exec(`CREATE TABLE t (id int PRIMARY KEY, name text); SELECT cdc.register('t')`)
	config := d.reader(t, false, map[string]string{"versions": "public.t=1"})
	d.grant("t")
	config.Versions, config.Compression = map[string]uint32{"public.t": 1}, "lz4"
	stream := d.open(config)
	d.exec(`SET client_min_messages = error; ALTER TABLE t RENAME name TO title; INSERT INTO t SELECT n, 'title ' || n FROM generate_series(1, 300) n`)
	if got := lines(t, receive(t, stream)); len(got) != 300 || !strings.Contains(got[0], `"new":{"name":"title 1"}`) {
		t.Error(len(got))
	}
}
