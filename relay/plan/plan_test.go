package plan

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/relay/bus"
)

// topics are those of a bus in memory.
type topics struct {
	partitions int32
	known      []string
	maxBytes   int
}

func (t *topics) Partitions(context.Context, string) (int32, error) { return t.partitions, nil }
func (t *topics) MaxBytes(context.Context, string) (int, error)     { return t.maxBytes, nil }
func (t *topics) Versions(_ context.Context, f bus.Family) (list []string, err error) {
	for _, name := range t.known {
		if f.Has(name) {
			list = append(list, name)
		}
	}
	return list, nil
}

var here = bus.Source{System: 1, Timeline: 1, Database: "d/b", Slot: "s"}

// plan makes the messages of all transactions of a source.
func messagesOf(t *testing.T, o Options, at *topics, source *cdctest.Source, transactions int) []bus.Message {
	t.Helper()
	all, err := tryMessages(t, o, at, source, transactions)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func tryMessages(t *testing.T, o Options, at *topics, source *cdctest.Source, transactions int) (all []bus.Message, err error) {
	t.Helper()
	stream, err := cdc.Open(t.Context(), cdc.Config{Connector: source, Slot: "s", ReadOnly: true, OnFailure: cdc.PolicyPass})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	o.Prefix, o.Logger = "p", slog.New(slog.DiscardHandler)
	p := New(o, at, 0x10)
	for range transactions {
		txn, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		list, err := transaction(t.Context(), p, txn)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		stream.Ack(txn)
	}
	return all, nil
}

// transaction gives the messages of one.
func transaction(ctx context.Context, p *Plan, txn *cdc.Txn) (all []bus.Message, err error) {
	p.Begin(txn, here)
	last, events := 0, 0
	for e, err := range txn.Events() {
		if err != nil {
			return nil, err
		}
		events++
		list, err := p.Event(ctx, e)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			last = len(all)
		}
		all = append(all, list...)
	}
	final, err := p.End(ctx, all[last:], events)
	if err != nil {
		return nil, err
	}
	p.Finish(final, events)
	return append(all[:last], final...), nil
}

func TestMurmur2IsThatOfOtherClients(t *testing.T) {
	other := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for i := range 300 {
		key := []byte(strings.Repeat("k\xff\x00q", 80)[:i+1])
		for _, n := range []int32{1, 3, 8, 256} {
			if got, want := PartitionOf(key, n), other.Partition(&kgo.Record{Key: key}, int(n)); int(got) != want {
				t.Fatalf("a key of %d bytes goes to %d of %d, elsewhere to %d", len(key), got, n, want)
			}
		}
	}
}

func TestNamesStayDifferent(t *testing.T) {
	names := []string{"a", "A", "a.b", "a_b", "a-b", "a-2Eb", "a b", "ä", "", "*", ">", "a>", strings.Repeat("x", 300), strings.Repeat("x", 301), strings.Repeat(".", 300)}
	seen := map[string]string{}
	for _, schema := range names {
		for _, table := range names {
			base := Base("p", schema, table)
			for _, topic := range []string{base, Versioned(base, 1), Versioned(base, 4294967295)} {
				if other, ok := seen[topic]; ok {
					t.Errorf("%q is the topic of %s and of %q.%q", topic, other, schema, table)
				}
				seen[topic] = schema + "." + table
				if len(topic) > MaxName || strings.Trim(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
					t.Errorf("%q is no name of a topic", topic)
				}
			}
		}
	}
	if got := Versioned(Base("cdc", "public", "order items"), 2); got != "cdc.public.order-20items.v2" {
		t.Errorf("the topic is %s", got)
	}
}

func TestPrefixes(t *testing.T) {
	for prefix, good := range map[string]bool{"cdc": true, "a.b-c_D": true, "": false, "a..b": false, "a.": false, "a*": false, "ä": false, strings.Repeat("x", 65): false} {
		if err := CheckPrefix(prefix); (err == nil) != good {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

func TestLastMessageEndsTheTransaction(t *testing.T) {
	source := cdctest.NewSource("s")
	source.Insert("public", "t", "1", "2", "3")
	list := messagesOf(t, Options{Keyed: true}, &topics{partitions: 4, maxBytes: 1 << 20}, source, 1)
	if len(list) != 3 {
		t.Fatalf("there are %d messages", len(list))
	}
	for i, m := range list {
		b, err := cdc.ParseBatch(m.Value, cdc.NewSchemaCache(cdc.Limits{}))
		if err != nil || b.Len() != 1 {
			t.Fatal(err, b.Len())
		}
		mark, err := bus.ParseMark(m.Get)
		if err != nil {
			t.Fatal(err)
		}
		last := i == 2
		if b.Ends() != last || mark.Whole != last || (m.Get(bus.End) == "3") != last || mark.Source != here {
			t.Errorf("message %d: it ends %v, its mark is %+v", i, b.Ends(), mark)
		}
		if last && (b.EventCount != 3 || mark.Confirm != b.EndLSN || b.Outcome != cdc.OutcomeCommitted) || !last && mark.Confirm != 0x10 {
			t.Errorf("message %d: %+v, confirm %v", i, b, mark.Confirm)
		}
		if m.Topic != "p.public.t" || m.Partition != PartitionOf(m.Key, 4) || m.Get(bus.Op) != "INSERT" {
			t.Errorf("message %d goes to %s, %d", i, m.Topic, m.Partition)
		}
	}
}

func TestTooLarge(t *testing.T) {
	source := cdctest.NewSource("s")
	source.Insert("public", "t", strings.Repeat("x", 1000))
	at := &topics{partitions: 1, maxBytes: 500}
	var large *LargeError
	if _, err := tryMessages(t, Options{}, at, source, 1); !errors.As(err, &large) {
		t.Fatalf("the error is %v", err)
	}
	list := messagesOf(t, Options{Large: LargeAside}, at, source, 1)
	if len(list) != 1 || list[0].Topic != "p.dead" || list[0].Get(bus.Reason) != TooLarge || len(list[0].Value) != 0 || list[0].Get(bus.End) != "1" {
		t.Errorf("the messages are %+v", list)
	}
}

// A letter has the key, so that the row can be looked up.
func TestLetterHasKey(t *testing.T) {
	source := cdctest.NewSource("s")
	fingerprint, table := cdctest.Table("public", "t")
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
	row := append([]byte{2<<3 | 2, 0xE8, 7}, strings.Repeat("x", 1000)...)
	b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpUpdate, Schema: uint64(fingerprint), Key: []byte{10, 1, '1'}, NewKey: []byte{10, 1, '2'}, New: row}}
	b.EventCount = 1
	source.Add(b)
	list := messagesOf(t, Options{Keyed: true, Large: LargeAside}, &topics{partitions: 4, maxBytes: 900}, source, 1)
	if len(list) != 1 || list[0].Topic != "p.dead" || list[0].Get(bus.End) != "1" {
		t.Fatalf("the messages are %+v", list)
	}
	parsed, err := cdc.ParseBatch(list[0].Value, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	c := parsed.Events()
	if !c.Next() || string(c.Event().Key) != "\n\x011" || string(c.Event().NewKey) != "\n\x012" || !c.Event().Failed() || len(c.Event().New) > 0 {
		t.Errorf("the letter has %+v", c.Event())
	}
}

// Rows of a load, marks and keys that are gone are CloudEvents, too, each its own: with keys and without. No transaction's
// markers stand around them.
func TestReadsAsCloudEvents(t *testing.T) {
	fingerprint, table := cdctest.Table("public", "t")
	value, err := proto.Marshal(&cdcv1.Batch{Schemas: []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}, Snapshot: &cdcv1.Snapshot{Xmin: 5, Xmax: 5},
		Events: []*cdcv1.ChangeEvent{{Op: cdc.OpRead, Schema: uint64(fingerprint), Key: []byte{10, 1, '1'}}, {Op: cdc.OpRead, Schema: uint64(fingerprint), Key: []byte{10, 1, '2'}}}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	n := 0
	for _, options := range []Options{{Keyed: true, Tombstones: true}, {}, {JSON: true}, {}} {
		options.Prefix, options.CloudEvents, options.Markers, options.Logger = "p", "ce_", true, slog.Default()
		p := New(options, &topics{partitions: 3, maxBytes: 1 << 20}, 0x100)
		p.StartAt(cdc.Position{CommitLSN: 0x90}, bus.Source{System: 1, Timeline: 1, Database: "d", Slot: "s"})
		p.BeginRead(7)
		all, err := p.LoadMark(t.Context(), "p.public.t", "public.t", "begin", 7)
		if err != nil {
			t.Fatal(err)
		}
		b, err := cdc.ParseBatch(value, cdc.NewSchemaCache(cdc.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		for c := b.Events(); c.Next(); {
			row, err := p.Event(t.Context(), c.Event())
			if err != nil {
				t.Fatal(err)
			}
			gone, err := p.Gone(t.Context(), c.Event())
			if err != nil {
				t.Fatal(err)
			}
			last := gone[len(gone)-1]
			if gone[0].Get(bus.LoadMark) != bus.Gone || row[0].Get(bus.LoadMark) != "" || (last.Value == nil) != options.Tombstones || string(last.Key) != string(row[0].Key) {
				t.Errorf("%+v", gone)
			}
			all = append(append(all, row...), gone[0])
		}
		for i := range all {
			m := &all[i]
			id := m.Get("ce_id")
			if seen[id] || !strings.HasPrefix(id, "0/90/") || !strings.Contains(id, "/7/") || m.Get("ce_type") != "cdc.v1.READ" || m.Get("ce_specversion") != "1.0" ||
				m.Get("ce_source") != "/cdc/1/1/d/s" || m.Get("ce_subject") != "public.t" || m.Get(bus.Load) != "7" || m.Topic != "p.public.t" {
				t.Errorf("the headers are %v", m.Headers)
			}
			seen[id] = true
			n++
		}
	}
	if n != 4*(3+4) {
		t.Errorf("there are %d messages", n)
	}
}

// A row that is too large is left out, and what can be read is no row; where the key itself is, it goes to the dead letters.
func TestReference(t *testing.T) {
	source := cdctest.NewSource("s")
	fingerprint, table := cdctest.Table("public", "t")
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
	row := append([]byte{2<<3 | 2, 0xE8, 7}, strings.Repeat("x", 1000)...)
	b.Events = []*cdcv1.ChangeEvent{
		{Op: cdc.OpUpdate, Schema: uint64(fingerprint), Key: []byte{10, 1, '1'}, New: row},
		{Op: cdc.OpUpdate, Schema: uint64(fingerprint), LsnOffset: 1, Key: []byte{10, 1, '1'}, NewKey: []byte{10, 1, '2'}, Old: row},
		{Op: cdc.OpInsert, Schema: uint64(fingerprint), LsnOffset: 2, Key: append([]byte{10, 0xE8, 7}, row[3:]...)},
		{Op: cdc.OpInsert, Schema: uint64(fingerprint), LsnOffset: 3, New: row},
		{Op: cdc.OpUpdate, Schema: uint64(fingerprint), LsnOffset: 4, Key: []byte{10, 1, '3'}, New: row}}
	b.EventCount = 5
	source.Add(b)
	for _, asJSON := range []bool{false, true} {
		list := messagesOf(t, Options{Keyed: true, Large: LargeReference, JSON: asJSON}, &topics{partitions: 4, maxBytes: 900}, source, 1)
		var topics []string
		for i := range list {
			m := &list[i]
			topics = append(topics, m.Topic+m.Get(bus.KeyRole))
			if m.Size() > 900 || strings.Contains(string(m.Value), "xxx") {
				t.Errorf("message %d has the row: %d bytes", i, m.Size())
			}
			if m.Topic == "p.dead" {
				continue
			}
			if size, err := strconv.Atoi(m.Get(bus.Reference)); err != nil || size < 1000 || len(m.Key) != 3 {
				t.Errorf("message %d: %+v", i, m)
			}
			if asJSON {
				if !strings.Contains(string(m.Value), `"failure":{"sqlstate":"54000"`) || !strings.Contains(string(m.Value), `"key":{`) {
					t.Errorf("message %d: %s", i, m.Value)
				}
				continue
			}
			b, err := cdc.ParseBatch(m.Value, cdc.NewSchemaCache(cdc.Limits{}))
			if err != nil {
				t.Fatal(err)
			}
			c := b.Events()
			if !c.Next() || !c.Event().Failed() || c.Event().Table() == nil || c.Event().Position().String() != m.Get(bus.Position) || b.Ends() != (i == len(list)-1) {
				t.Errorf("message %d: %+v", i, c.Event())
			}
		}
		if got := strings.Join(topics, " "); got != "p.public.t p.public.told p.public.tnew p.dead p.dead p.public.t" {
			t.Errorf("they go to %s", got)
		}
	}
}

func TestHeaderTextHasNoEnds(t *testing.T) {
	if got := headerText("a\r\nb%\x7fü"); got != "a%0D%0Ab%25%7Fü" {
		t.Errorf("it is %q", got)
	}
}

// insert is a transaction with a row of a table with a key of a type.
func insert(source *cdctest.Source, kind cdc.Type, pgType string, key bool) {
	table, err := proto.Marshal(&cdcv1.Table{Schema: "public", Name: "t", ReplicaIdentity: cdc.IdentityDefault,
		Columns: []*cdcv1.Column{{Number: 1, Name: "id", Type: kind, PgType: pgType, Key: key}}})
	if err != nil {
		panic(err)
	}
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(cdc.FingerprintOf(table)), Table: table}}
	b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpDelete, Schema: uint64(cdc.FingerprintOf(table)), Key: []byte{10, 1, '1'}}}
	b.EventCount = 1
	source.Add(b)
}

func TestTombstonesNeedKeysThatAreTheirBytes(t *testing.T) {
	at := &topics{partitions: 3, maxBytes: 1 << 20}
	for _, c := range []struct {
		kind   cdc.Type
		pgType string
		key    bool
		want   string
	}{
		{cdc.TypeText, "pg_catalog.text", true, ""},
		{cdc.TypeUUID, "pg_catalog.uuid", true, ""},
		{cdc.TypeText, "public.citext", true, "different bytes"},
		{cdc.TypeText, "pg_catalog.bpchar(3)", true, "different bytes"},
		{cdc.TypeNumeric, "pg_catalog.numeric", true, "different bytes"},
		{cdc.TypeText, "pg_catalog.text", false, "no key"},
	} {
		source := cdctest.NewSource("s")
		insert(source, c.kind, c.pgType, c.key)
		list, err := tryMessages(t, Options{Keyed: true, Tombstones: true}, at, source, 1)
		var refused *bus.ConfigError
		if c.want == "" && (err != nil || len(list) != 2 || list[1].Value != nil || list[0].Get(bus.Copy) != "1/2" || list[1].Get(bus.End) != "1") {
			t.Errorf("%s: %+v, %v", c.pgType, list, err)
		}
		if c.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: the error is %v", c.pgType, err)
		}
	}
}

// What the server could not encode stops the relay, or goes aside in its place.
func TestFailures(t *testing.T) {
	source := cdctest.NewSource("s")
	b := source.Transaction()
	fingerprint, table := cdctest.Table("public", "t")
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
	b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpInsert, Schema: uint64(fingerprint), Failure: &cdcv1.Failure{Sqlstate: "54000", Message: "too large"}}}
	b.EventCount = 1
	source.Add(b)
	at := &topics{partitions: 3, maxBytes: 1 << 20}
	var failed *FailedError
	if _, err := tryMessages(t, Options{Keyed: true}, at, source, 1); !errors.As(err, &failed) {
		t.Errorf("the error is %v", err)
	}
	list := messagesOf(t, Options{Keyed: true, FailuresAside: true}, at, source, 1)
	if len(list) != 1 || list[0].Topic != "p.dead" || list[0].Get(bus.Reason) != "failure" || list[0].Get(bus.Relation) != "public.t" {
		t.Errorf("the messages are %+v", list)
	}
}

// Source and id name one message, the attributes that must be there are, and none is empty.
func TestCloudEvents(t *testing.T) {
	source := cdctest.NewSource("s")
	source.Insert("public", "t", "1", "2")
	fingerprint, table := cdctest.Table("public", "t")
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
	b.Events = []*cdcv1.ChangeEvent{
		{Op: cdc.OpUpdate, Schema: uint64(fingerprint), Key: []byte{10, 1, '1'}, NewKey: []byte{10, 1, '3'}},
		{Op: cdc.OpTruncate, Schema: uint64(fingerprint), LsnOffset: 1},
		{Op: cdc.OpInsert, Schema: uint64(fingerprint), LsnOffset: 2, Key: []byte{10, 1, '4'}, Failure: &cdcv1.Failure{Message: strings.Repeat("x", 2000)}},
	}
	b.EventCount = 3
	source.Add(b)
	all := messagesOf(t, Options{Keyed: true, Tombstones: true, Markers: true, CloudEvents: "ce-", FailuresAside: true, Large: LargeAside},
		&topics{partitions: 3, maxBytes: 1500}, source, 2)
	seen := map[string]bool{}
	for _, m := range all {
		id := m.Get("ce-source") + " " + m.Get("ce-id")
		if seen[id] {
			t.Errorf("%s stands twice", id)
		}
		seen[id] = true
		if m.Get("ce-specversion") != "1.0" || m.Get("ce-id") == "" || m.Get("ce-type") != "cdc.v1."+m.Get(bus.Op) || m.Get("ce-source") != "/cdc/1/1/d%2Fb/s" ||
			m.Get("ce-subject") != m.Get(bus.Relation) || m.Get("ce-time") != m.Get(bus.CommitTime) {
			t.Errorf("the headers are %v", m.Headers)
		}
		for _, h := range m.Headers {
			if h.Value == "" {
				t.Errorf("%s is empty", h.Name)
			}
		}
	}
	if len(all) != 4+2+3+3+1 {
		t.Errorf("there are %d messages", len(all))
	}
}

func TestTemplates(t *testing.T) {
	for text, want := range map[string]string{
		"{prefix}.{schema}.{table}": "", "{prefix}.{database}.rows.{table}.{schema}.{version}": "", "{prefix}.{version}.{schema}.{table}": "",
		"{schema}.{table}": "does not begin with {prefix}.", "{prefix}.{table}": "{schema} is missing: several tables", "{prefix}.{schema}": "{table} is missing",
		"{prefix}.{schema}_{table}": "is neither", "{prefix}.{schema}.{table}.{table}": "twice", "{prefix}..{schema}.{table}": "is neither",
		"{prefix}.{schema}.{table}.*": "is neither", "{prefix}.a--b.{schema}.{table}": "is neither", "{prefix}.{schema}.{table}.{what}": "is neither",
	} {
		if _, err := ParseTemplate(text); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	names := []string{"a", "a.b", "a_b", "v1", "", "ä", "--", strings.Repeat("x", 300), strings.Repeat("x", 301), strings.Repeat(".", 300)}
	for _, text := range []string{DefaultTemplate, "{prefix}.{version}.{schema}.{table}", "{prefix}.{database}.{table}.of.{schema}", "{prefix}.{schema}.{table}.{version}", "{prefix}.{table}.{version}.{schema}"} {
		template, err := ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		for _, schema := range names {
			for _, table := range names {
				f := template.family("p", "d.b", schema, table)
				for _, major := range []uint32{0, 1, 4294967295} {
					topic := topicOf(f, major)
					if other, ok := seen[topic]; ok {
						t.Errorf("%s: %q is the topic of %s and of %q.%q", text, topic, other, schema, table)
					}
					seen[topic] = schema + "." + table
					if !f.Has(topic) || len(topic) > MaxName || !strings.HasPrefix(topic, "p.") ||
						strings.Trim(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
						t.Errorf("%s: %q of %q.%q", text, topic, schema, table)
					}
				}
			}
		}
	}
	template, _ := ParseTemplate("{prefix}.{database}.{version}.{schema}.{table}")
	if f := template.family("cdc", "shop", "public", "order items"); topicOf(f, 2) != "cdc.shop.v2.public.order-20items" || topicOf(f, 0) != "cdc.shop.v0.public.order-20items" ||
		f.Has("cdc.shop.v2.public.order-20items2") || f.Has("cdc.shop.vx.public.order-20items") || f.Has("cdc.shop.public.order-20items") {
		t.Errorf("it is %+v", f)
	}
	if f := (Template{}).family("cdc", "shop", "public", "t"); topicOf(f, 0) != "cdc.public.t" || topicOf(f, 3) != "cdc.public.t.v3" || f.Has("cdc.public.t.v3.x") || !f.Has("cdc.public.t") {
		t.Errorf("it is %+v", f)
	}
}
