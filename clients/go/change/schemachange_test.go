package change

import (
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/value"
)

// schemaBatch is a batch with one event, and the schema of public."New T".
func schemaBatch(t *testing.T, f func(fingerprint uint64) *cdcv1.ChangeEvent) *Batch {
	t.Helper()
	table, err := proto.Marshal(&cdcv1.Table{Schema: "public", Name: "New T", Columns: []*cdcv1.Column{
		{Number: 1, Name: "id", Type: value.TypeInt32, PgType: "pg_catalog.int4", Key: true}}})
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := uint64(schema.FingerprintOf(table))
	raw, err := proto.Marshal(&cdcv1.Batch{
		Transaction: &cdcv1.Transaction{Xid: 7, FirstLsn: 0x100, CommitLsn: 0x200}, Outcome: OutcomeCommitted, EndLsn: 0x230, EventCount: 1,
		Schemas: []*cdcv1.SchemaVersion{{Fingerprint: fingerprint, Table: table}},
		Source:  &cdcv1.Source{Database: "d", SchemaChanges: true},
		Events:  []*cdcv1.ChangeEvent{f(fingerprint)},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBatch(raw, schema.NewCache(schema.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSchemaChange(t *testing.T) {
	const prefix = `{"position":"0/200/0/100/0","xid":7,"op":"SCHEMA"`
	const outcome = "\n" + `{"xid":7,"op":"COMMITTED","commit_lsn":"0/200","end_lsn":"0/230","event_count":1}` + "\n"
	const relation = `,"relation":"public.\"New T\"","fingerprint":"`
	for _, c := range []struct {
		m      *cdcv1.SchemaChange
		ends   bool
		former string
		want   string // of the line, behind the fingerprint
	}{
		{&cdcv1.SchemaChange{Kind: SchemaCreated, CommandTag: "CREATE TABLE"}, false, "", `"change":"created","command":"CREATE TABLE"}`},
		{&cdcv1.SchemaChange{Kind: SchemaAltered, CommandTag: "ALTER TABLE", FormerSchema: "S", FormerName: "t"}, false, `"S".t`,
			`"change":"altered","command":"ALTER TABLE","former_relation":"\"S\".t"}`},
		{&cdcv1.SchemaChange{Kind: SchemaEntered}, false, "", `"change":"entered","command":""}`},
		{&cdcv1.SchemaChange{Kind: SchemaDropped, CommandTag: "DROP SCHEMA", FormerSchema: "s", FormerName: "t"}, true, "s.t",
			`"change":"dropped","command":"DROP SCHEMA","former_relation":"s.t"}`},
		{&cdcv1.SchemaChange{Kind: SchemaLeft, CommandTag: "ALTER PUBLICATION", FormerSchema: "s", FormerName: "t"}, true, "s.t",
			`"change":"left","command":"ALTER PUBLICATION","former_relation":"s.t"}`},
	} {
		var f schema.Fingerprint
		b := schemaBatch(t, func(fingerprint uint64) *cdcv1.ChangeEvent {
			if c.ends {
				return &cdcv1.ChangeEvent{Op: OpSchema, SchemaChange: c.m}
			}
			f = schema.Fingerprint(fingerprint)
			return &cdcv1.ChangeEvent{Op: OpSchema, Schema: fingerprint, SchemaChange: c.m}
		})
		cursor := b.Events()
		if !cursor.Next() {
			t.Fatal(cursor.Err())
		}
		e := cursor.Event()
		s, err := e.SchemaChange()
		want := &SchemaChange{c.m.Kind, c.m.CommandTag, c.m.FormerSchema, c.m.FormerName}
		if err != nil || !reflect.DeepEqual(s, want) || s.Former() != c.former || s.Ends() != c.ends || (e.Table() == nil) != c.ends || e.UnknownFields() != 0 {
			t.Errorf("%v: %+v, %v", c.m, s, err)
		}
		line := prefix
		if !c.ends {
			line += relation + f.String() + `"`
		}
		if got, err := b.AppendJSON(nil); err != nil || string(got) != line+","+c.want+outcome {
			t.Errorf("%v\n%s%s,%s", err, got, line, c.want)
		}
		schemaChangeAlone(t, b, e)
	}
}

// schemaChangeAlone sees to it that an event says the same in a batch of its own.
func schemaChangeAlone(t *testing.T, b *Batch, e *Event) {
	t.Helper()
	piece, err := e.AppendSingle(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := ParseBatch(piece, schema.NewCache(schema.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	var w, v JSONWriter
	c := alone.Events()
	if !c.Next() {
		t.Fatal(c.Err())
	}
	got, err := w.AppendEvent(nil, c.Event())
	want, wrong := v.AppendEvent(nil, e)
	if err != nil || wrong != nil || string(got) != string(want) {
		t.Errorf("%v %v\n%s\n%s", err, wrong, got, want)
	}
	if source, err := b.Source(); err != nil || !source.SchemaChanges {
		t.Error(source, err)
	}
}

func TestSchemaChangeDamage(t *testing.T) {
	for name, f := range map[string]func(fingerprint uint64) *cdcv1.ChangeEvent{
		"nothing": func(f uint64) *cdcv1.ChangeEvent { return &cdcv1.ChangeEvent{Op: OpSchema, Schema: f} },
		"no kind": func(f uint64) *cdcv1.ChangeEvent {
			return &cdcv1.ChangeEvent{Op: OpSchema, Schema: f, SchemaChange: &cdcv1.SchemaChange{CommandTag: "x"}}
		},
		"unknown kind": func(f uint64) *cdcv1.ChangeEvent {
			return &cdcv1.ChangeEvent{Op: OpSchema, Schema: f, SchemaChange: &cdcv1.SchemaChange{Kind: 6}}
		},
		"created without a schema": func(uint64) *cdcv1.ChangeEvent {
			return &cdcv1.ChangeEvent{Op: OpSchema, SchemaChange: &cdcv1.SchemaChange{Kind: SchemaCreated}}
		},
		"altered without a schema": func(uint64) *cdcv1.ChangeEvent {
			return &cdcv1.ChangeEvent{Op: OpSchema, SchemaChange: &cdcv1.SchemaChange{Kind: SchemaAltered, FormerName: "t"}}
		},
		"entered without a schema": func(uint64) *cdcv1.ChangeEvent {
			return &cdcv1.ChangeEvent{Op: OpSchema, SchemaChange: &cdcv1.SchemaChange{Kind: SchemaEntered}}
		},
		"dropped without a name": func(uint64) *cdcv1.ChangeEvent {
			return &cdcv1.ChangeEvent{Op: OpSchema, SchemaChange: &cdcv1.SchemaChange{Kind: SchemaDropped, FormerSchema: "s"}}
		},
		"dropped with a schema": func(f uint64) *cdcv1.ChangeEvent {
			return &cdcv1.ChangeEvent{Op: OpSchema, Schema: f, SchemaChange: &cdcv1.SchemaChange{Kind: SchemaDropped, FormerName: "t"}}
		},
		"left with a schema": func(f uint64) *cdcv1.ChangeEvent {
			return &cdcv1.ChangeEvent{Op: OpSchema, Schema: f, SchemaChange: &cdcv1.SchemaChange{Kind: SchemaLeft, FormerName: "t"}}
		},
		"no text": func(f uint64) *cdcv1.ChangeEvent {
			m := &cdcv1.SchemaChange{Kind: SchemaCreated}
			m.ProtoReflect().SetUnknown([]byte{0x12, 1, 0xFF}) // the command's tag
			return &cdcv1.ChangeEvent{Op: OpSchema, Schema: f, SchemaChange: m}
		},
	} {
		c := schemaBatch(t, f).Events()
		if c.Next() || !errors.Is(c.Err(), fault.ErrDamaged) {
			t.Errorf("%s: %v", name, c.Err())
		}
	}
	// A schema that has not come is for whoever asks for it: the policy on unknown schemas.
	b := schemaBatch(t, func(f uint64) *cdcv1.ChangeEvent {
		return &cdcv1.ChangeEvent{Op: OpSchema, Schema: f + 1, SchemaChange: &cdcv1.SchemaChange{Kind: SchemaCreated}}
	})
	if _, err := b.AppendJSON(nil); !errors.Is(err, fault.ErrDamaged) {
		t.Error(err)
	}
}
