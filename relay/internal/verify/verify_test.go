package verify

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/plan"
)

type topics struct{}

func (topics) Partitions(context.Context, string) (int32, error)      { return 3, nil }
func (topics) MaxBytes(context.Context, string) (int, error)          { return 1 << 20, nil }
func (topics) Versions(context.Context, bus.Family) ([]string, error) { return nil, nil }

// log of some transactions: one partition after the other, as Kafka is read.
func log(t *testing.T) (all []bus.Message) {
	t.Helper()
	source := cdctest.NewSource("s")
	for i := range 8 {
		source.Insert("public", "t", fmt.Sprint("a", i), fmt.Sprint("b", i))
	}
	fingerprint, table := cdctest.Table("public", "t")
	key := func(text string) []byte { return append([]byte{1<<3 | 2, byte(len(text))}, text...) }
	b := source.Transaction()
	b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
	for i, op := range []cdc.Op{cdc.OpDelete, cdc.OpInsert, cdc.OpTruncate, cdc.OpInsert, cdc.OpInsert} {
		e := &cdcv1.ChangeEvent{Op: op, Schema: uint64(fingerprint), LsnOffset: uint64(i), Key: key([]string{"a0", "c", "", "c", "d"}[i])}
		if op == cdc.OpTruncate {
			e.Key = nil
		}
		if op == cdc.OpInsert {
			e.New = e.Key
		}
		b.Events = append(b.Events, e)
	}
	b.EventCount = uint64(len(b.Events))
	source.Add(b)
	stream, err := cdc.Open(t.Context(), cdc.Config{Connector: source, Slot: "s", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	p := plan.New(plan.Options{Prefix: "p", Keyed: true, Logger: slog.New(slog.DiscardHandler)}, topics{}, 0x10)
	for range 9 {
		txn, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Begin(txn, bus.Source{System: 1, Timeline: 1, Database: "d", Slot: "s"})
		var last []bus.Message
		n := 0
		for e, err := range txn.Events() {
			if err != nil {
				t.Fatal(err)
			}
			list, err := p.Event(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, list...)
			last = all[len(all)-len(list):]
			n++
		}
		p.Finish(last, n)
	}
	slices.SortStableFunc(all, func(a, b bus.Message) int { return int(a.Partition - b.Partition) })
	return all
}

// judge gives what any of the checks has to say.
func judge(all []bus.Message) string {
	var found []string
	say := func(err error) {
		if err != nil {
			found = append(found, err.Error())
		}
	}
	say(Once(all, false))
	parts, err := Rebuild(all)
	say(err)
	whole, err := Whole(all)
	say(err)
	if err == nil && parts != nil {
		if d := Differences(whole, parts); d != "" {
			found = append(found, d)
		}
	}
	return strings.Join(found, "; ")
}

func TestARightLog(t *testing.T) {
	all := log(t)
	if wrong := judge(all); wrong != "" {
		t.Error(wrong)
	}
	whole, err := Whole(all)
	if err != nil || len(whole["public.t"]) != 2 {
		t.Errorf("%d rows, %v", len(whole["public.t"]), err)
	}
}

// Whatever is missing, doubled or in another order is noticed.
func TestAWrongLog(t *testing.T) {
	right := log(t)
	for i := range right {
		missing := slices.Delete(slices.Clone(right), i, i+1)
		doubled := slices.Insert(slices.Clone(right), i, right[i])
		for what, wrong := range map[string][]bus.Message{"missing": missing, "doubled": doubled} {
			if judge(wrong) == "" {
				t.Errorf("message %d is %s, and nothing is noticed", i, what)
			}
		}
		if i == 0 || right[i].Partition != right[i-1].Partition {
			continue
		}
		swapped := slices.Clone(right)
		swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
		// rows of one transaction with different keys may stand in any order
		if judge(swapped) == "" && (right[i].Get(bus.Op) == "TRUNCATE") != (right[i-1].Get(bus.Op) == "TRUNCATE") {
			t.Errorf("messages %d and %d are swapped, and nothing is noticed", i-1, i)
		}
	}
}
