package verify

import (
	"fmt"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// place is a partition of a topic; with one log for all, there is one place.
type place struct {
	topic     string
	partition int32
}

// Once checks that each message stands in the log once, that transactions are whole, and that
// each partition has them in the order of their commits. single: the log is one sequence.
func Once(all []bus.Message, single bool) error {
	seen := map[string]place{}
	latest := map[place]cdc.LSN{}
	counts, ends := map[cdc.LSN]map[cdc.Position]bool{}, map[cdc.LSN]string{}
	for i := range all {
		m := &all[i]
		mark, err := bus.ParseMark(m.Get)
		if err != nil {
			return err
		}
		at := place{m.Topic, m.Partition}
		if single {
			at = place{}
		}
		id := mark.Position.String() + " " + m.Get(bus.Copy)
		if other, ok := seen[id]; ok {
			return fmt.Errorf("the message of %s stands twice: in %v and in %v", id, other, at)
		}
		seen[id] = at
		commit := mark.Position.CommitLSN
		if commit < latest[at] {
			return fmt.Errorf("in %v %v comes after %v", at, commit, latest[at])
		}
		latest[at] = commit
		if counts[commit] == nil {
			counts[commit] = map[cdc.Position]bool{}
		}
		counts[commit][mark.Position] = true
		if end := m.Get(bus.End); end != "" {
			ends[commit] = end
		}
	}
	for commit, positions := range counts {
		if ends[commit] != fmt.Sprint(len(positions)) {
			return fmt.Errorf("the transaction %v has %d events, and its end says %q", commit, len(positions), ends[commit])
		}
	}
	return nil
}

// Tables are rows by relation and key.
type Tables map[string]map[string]cdc.Row

// Rebuild applies a log to tables, as the specification of messages says: each partition for
// itself.
func Rebuild(all []bus.Message) (Tables, error) {
	parts := map[place]map[string]cdc.Row{}
	names := map[string]string{}
	for i := range all {
		m := &all[i]
		if len(m.Value) == 0 || m.Get(bus.Relation) == "" {
			continue
		}
		at := place{m.Topic, m.Partition}
		if parts[at] == nil {
			parts[at] = map[string]cdc.Row{}
		}
		names[m.Topic] = m.Get(bus.Relation)
		if err := apply(parts[at], m); err != nil {
			return nil, err
		}
	}
	tables := Tables{}
	for at, rows := range parts {
		name := names[at.topic]
		if tables[name] == nil {
			tables[name] = map[string]cdc.Row{}
		}
		for key, row := range rows {
			if _, ok := tables[name][key]; ok {
				return nil, fmt.Errorf("a row of %s is in two partitions", name)
			}
			tables[name][key] = row
		}
	}
	return tables, nil
}

func apply(rows map[string]cdc.Row, m *bus.Message) error {
	b, err := cdc.ParseBatch(m.Value, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		return err
	}
	c := b.Events()
	if !c.Next() {
		return fmt.Errorf("a message has no event: %w", c.Err())
	}
	e := c.Event()
	if e.Position().String() != m.Get(bus.Position) {
		return fmt.Errorf("the position %s is not that of the event, %v", m.Get(bus.Position), e.Position())
	}
	if e.RewriteStart || e.Op == cdc.OpTruncate {
		clear(rows)
	}
	role := m.Get(bus.KeyRole)
	switch {
	case e.Op == cdc.OpTruncate, e.Op == cdc.OpSchema, role == "elsewhere":
		return nil
	case e.Op == cdc.OpDelete, role == "old":
		if _, ok := rows[string(e.Key)]; !ok {
			return fmt.Errorf("there is no row to remove at %v", e.Position())
		}
		delete(rows, string(e.Key))
		return nil
	case e.Op == cdc.OpUpdate:
		return updated(rows, e)
	}
	if _, ok := rows[string(e.Key)]; ok {
		return fmt.Errorf("a row is inserted twice at %v", e.Position())
	}
	return put(rows, e.Key, e.New)
}

// updated overlays a row. The row of a key that changes is in the new key's partition only as far
// as the event tells: all of it, in tables that the tests use (REPLICA IDENTITY FULL), by its old image.
func updated(rows map[string]cdc.Row, e *cdc.Event) error {
	if len(e.NewKey) == 0 {
		base, ok := rows[string(e.Key)]
		if !ok {
			return fmt.Errorf("there is no row to update at %v", e.Position())
		}
		row, err := cdc.Overlay(nil, base, e.New, e.Nulls)
		if err != nil {
			return err
		}
		return put(rows, e.Key, row)
	}
	delete(rows, string(e.Key))
	row, err := cdc.Overlay(nil, e.Old, e.New, e.Nulls)
	if err != nil {
		return err
	}
	return put(rows, e.NewKey, row)
}

func put(rows map[string]cdc.Row, key, row cdc.Row) error {
	ordered, err := cdc.Sorted(append(cdc.Row(nil), row...))
	rows[string(key)] = ordered
	return err
}

// Differences between two states of tables, "" where there is none.
func Differences(got, want Tables) string {
	for name, rows := range want {
		if len(got[name]) != len(rows) {
			return fmt.Sprintf("%s has %d rows, not %d", name, len(got[name]), len(rows))
		}
		for key, row := range rows {
			if other, ok := got[name][key]; !ok || string(other) != string(row) {
				return fmt.Sprintf("%s: the row %x is %x, not %x", name, key, other, row)
			}
		}
	}
	return ""
}
