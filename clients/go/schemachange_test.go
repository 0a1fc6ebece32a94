package cdc_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

// addSchemaChange adds a transaction with a change of public.t, whose schema has a version.
func addSchemaChange(source *cdctest.Source, version uint32, e *cdcv1.ChangeEvent) {
	b := source.Transaction()
	f, table := cdctest.Table("public", "t")
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(f), Table: table, Version: version}}
	e.Op = cdc.OpSchema
	if e.Schema == 1 {
		e.Schema = uint64(f)
	}
	b.Events, b.EventCount = []*cdcv1.ChangeEvent{e}, 1
	source.Add(b)
}

// Changes of schemas come out of a stream, are counted, and are no rows: neither versions nor
// handlers of rows stop at them.
func TestSchemaChanges(t *testing.T) {
	source, meter := cdctest.NewSource("s"), newMeter()
	stream := opened(t, source, func(c *cdc.Config) { c.Metrics, c.Versions = meter, map[string]uint32{"public.t": 1} })
	addSchemaChange(source, 2, &cdcv1.ChangeEvent{Schema: 1, SchemaChange: &cdcv1.SchemaChange{Kind: cdc.SchemaCreated}})
	addSchemaChange(source, 2, &cdcv1.ChangeEvent{SchemaChange: &cdcv1.SchemaChange{Kind: cdc.SchemaDropped, FormerSchema: "public", FormerName: "t"}})
	seen := 0
	router := &cdc.Router{}
	router.Handle("public.t", 2, func(*cdc.Event) error { return errors.New("a row") })
	router.Otherwise(func(*cdc.Event) error { return errors.New("something else") })
	decoder := cdc.NewDecoder[*emptypb.Empty]()
	for range 2 {
		txn, _ := next(t, stream)
		for e, err := range txn.Events() {
			if err != nil {
				t.Fatal(err)
			}
			router.HandleSchema(nil)
			if err := router.Route(e); err != nil {
				t.Error(err)
			}
			router.HandleSchema(func(*cdc.Event) error { seen++; return nil })
			if err := router.Route(e); err != nil {
				t.Error(err)
			}
			if _, err := decoder.After(e); err == nil {
				t.Error("a row of a change of a schema")
			}
		}
	}
	if n := meter.count(cdc.EventsTotal, "schema"); seen != 2 || n != 2 {
		t.Errorf("%d handled, %d counted", seen, n)
	}
}

// One that says too little is damage, and one of an unknown schema a case of its own.
func TestSchemaChangeLetters(t *testing.T) {
	for reason, e := range map[cdc.Reason]*cdcv1.ChangeEvent{
		cdc.ReasonDamage:        {SchemaChange: &cdcv1.SchemaChange{Kind: cdc.SchemaAltered}},
		cdc.ReasonUnknownSchema: {Schema: 2, SchemaChange: &cdcv1.SchemaChange{Kind: cdc.SchemaAltered}},
	} {
		source, meter := cdctest.NewSource("s"), newMeter()
		stream := opened(t, source, func(c *cdc.Config) {
			c.Metrics, c.OnDamage, c.OnUnknownSchema, c.DeadLetters = meter, cdc.PolicyDeadLetter, cdc.PolicyDeadLetter, cdc.DeadLetterDir(t.TempDir())
		})
		addSchemaChange(source, 0, e)
		source.Insert("public", "t", "a")
		if txn, err := stream.Next(timeout(t, 10*time.Second)); err != nil {
			t.Fatal(txn, err)
		}
		if n := meter.count(cdc.DeadLettersTotal, string(reason)); n != 1 {
			t.Errorf("%v: %d letters", reason, n)
		}
	}
}
