package plan

import (
	"context"
	"errors"
	"log/slog"
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
func (t *topics) Versions(_ context.Context, base string) (list []string, err error) {
	for _, name := range t.known {
		if name == base || strings.HasPrefix(name, base+".v") {
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
	p.Finish(all[last:], events)
	return all, nil
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
	list := messagesOf(t, Options{LargeAside: true}, at, source, 1)
	if len(list) != 1 || list[0].Topic != "p.dead" || list[0].Get(bus.Reason) != TooLarge || len(list[0].Value) != 0 || list[0].Get(bus.End) != "1" {
		t.Errorf("the messages are %+v", list)
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
