package plan

import (
	"log/slog"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/bus"
)

// schemaEvent is a batch with an OP_SCHEMA, of a table or (name "") of none any more.
func schemaEvent(name, formerSchema, formerName string) []byte {
	kind := cdc.SchemaAltered
	if name == "" {
		kind = cdc.SchemaDropped
	}
	change := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(kind))
	if formerName != "" {
		change = protowire.AppendString(protowire.AppendTag(change, 3, protowire.BytesType), formerSchema)
		change = protowire.AppendString(protowire.AppendTag(change, 4, protowire.BytesType), formerName)
	}
	event := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 8)
	batch := []byte(nil)
	if name != "" {
		fingerprint, table := cdctest.Table("public", name)
		event = protowire.AppendFixed64(protowire.AppendTag(event, 4, protowire.Fixed64Type), uint64(fingerprint))
		version := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), uint64(fingerprint))
		version = protowire.AppendBytes(protowire.AppendTag(version, 2, protowire.BytesType), table)
		version = protowire.AppendVarint(protowire.AppendTag(version, 3, protowire.VarintType), 2)
		batch = protowire.AppendBytes(protowire.AppendTag(batch, 6, protowire.BytesType), version)
	}
	event = protowire.AppendBytes(protowire.AppendTag(event, 16, protowire.BytesType), change)
	header := protowire.AppendFixed64(protowire.AppendTag(nil, 3, protowire.Fixed64Type), 0x500)
	batch = protowire.AppendBytes(protowire.AppendTag(batch, 1, protowire.BytesType), header)
	return protowire.AppendBytes(protowire.AppendTag(batch, 7, protowire.BytesType), event)
}

// Every partition of the table's topic hears of it, and of those of its former name.
func TestSchemaChanges(t *testing.T) {
	at := &topics{partitions: 2, maxBytes: 1 << 20, known: []string{"p.public.old", "p.public.old.v1", "p.public.older"}}
	for _, c := range []struct {
		name, former string
		want         []string
	}{
		{"new", "", []string{"p.public.new.v2", "p.public.new.v2"}},
		{"new", "old", []string{"p.public.old", "p.public.old", "p.public.old.v1", "p.public.old.v1", "p.public.new.v2", "p.public.new.v2"}},
		{"", "old", []string{"p.public.old", "p.public.old", "p.public.old.v1", "p.public.old.v1"}},
		{"", "never", nil},
	} {
		b, err := cdc.ParseBatch(schemaEvent(c.name, "public", c.former), cdc.NewSchemaCache(cdc.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		p := New(Options{Prefix: "p", Keyed: true, Logger: slog.New(slog.DiscardHandler)}, at, 0)
		p.Begin(&cdc.Txn{Transaction: b.Transaction}, here)
		events := b.Events()
		if !events.Next() {
			t.Fatal(events.Err())
		}
		list, err := p.Event(t.Context(), events.Event())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range list {
			got = append(got, m.Topic)
			if m.Get(bus.Op) != "SCHEMA" {
				t.Errorf("the op is %s", m.Get(bus.Op))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: it goes to %v", c, got)
		}
	}
}
