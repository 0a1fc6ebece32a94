package verify

import (
	"encoding/json"
	"fmt"
	"maps"

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
		commit := mark.Position.CommitLSN
		if commit < latest[at] {
			return fmt.Errorf("in %v %v comes after %v", at, commit, latest[at])
		}
		latest[at] = commit
		if m.Get(bus.Op) == bus.Read { // any number of times, but not back
			continue
		}
		id := mark.Position.String() + " " + m.Get(bus.Copy)
		if m.IsMarker() {
			id = mark.Position.CommitLSN.String() + " " + m.Get(bus.Op)
		}
		if other, ok := seen[id]; ok {
			return fmt.Errorf("the message of %s stands twice: in %v and in %v", id, other, at)
		}
		seen[id] = at
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

// Markers checks that each transaction has a beginning before, and an end that counts its messages.
func Markers(all []bus.Message) error {
	type counts map[string]int
	begun, ended, got := map[cdc.LSN]int{}, map[cdc.LSN]counts{}, map[cdc.LSN]counts{}
	for i := range all {
		m := &all[i]
		mark, err := bus.ParseMark(m.Get)
		if err != nil {
			return err
		}
		commit := mark.Position.CommitLSN
		if op := m.Get(bus.Op); op == bus.Read || op == "MESSAGE" && m.Get(bus.CommitTime) == "" { // of no transaction
			continue
		}
		switch m.Get(bus.Op) {
		case bus.Begins:
			begun[commit]++
		case bus.Ends:
			if ended[commit] != nil {
				return fmt.Errorf("the transaction %v has two ends", commit)
			}
			var content struct {
				Topics []struct {
					Topic    string
					Messages int
				}
			}
			if err := json.Unmarshal(m.Value, &content); err != nil {
				return err
			}
			ended[commit] = counts{}
			for _, c := range content.Topics {
				ended[commit][c.Topic] = c.Messages
			}
		default:
			if got[commit] == nil {
				got[commit] = counts{}
			}
			got[commit][m.Topic]++
		}
	}
	for commit, messages := range got {
		if begun[commit] != 1 || !maps.Equal(ended[commit], messages) {
			return fmt.Errorf("the transaction %v has %d beginnings and %v, and its end says %v", commit, begun[commit], messages, ended[commit])
		}
	}
	return nil
}

// Tables are rows by relation and key.
type Tables map[string]map[string]cdc.Row

// part is what a partition has of a table.
type part struct {
	rows map[string]cdc.Row
	// loading: what is read may be newer than changes that follow.
	loading bool
}

// Rebuild applies a log to tables, as the specification of messages says: each partition for
// itself.
func Rebuild(all []bus.Message) (Tables, error) { return rebuild(all, false) }

// RebuildLoaded is that for a log that begins with a load of all tables.
func RebuildLoaded(all []bus.Message) (Tables, error) { return rebuild(all, true) }

func rebuild(all []bus.Message, loaded bool) (Tables, error) {
	parts := map[place]*part{}
	names := map[string]string{}
	for i := range all {
		m := &all[i]
		at := place{m.Topic, m.Partition}
		if parts[at] == nil {
			parts[at] = &part{map[string]cdc.Row{}, loaded}
		}
		if mark := m.Get(bus.LoadMark); mark != "" {
			parts[at].loading = mark == "begin"
		}
		if len(m.Value) == 0 || m.Get(bus.Relation) == "" {
			continue
		}
		names[m.Topic] = m.Get(bus.Relation)
		if err := parts[at].apply(m); err != nil {
			return nil, err
		}
	}
	tables := Tables{}
	for at, part := range parts {
		name, ok := names[at.topic]
		if !ok {
			continue
		}
		if tables[name] == nil {
			tables[name] = map[string]cdc.Row{}
		}
		for key, row := range part.rows {
			if _, ok := tables[name][key]; ok {
				return nil, fmt.Errorf("a row of %s is in two partitions", name)
			}
			tables[name][key] = row
		}
	}
	return tables, nil
}

func (p *part) apply(m *bus.Message) error {
	rows := p.rows
	b, err := cdc.ParseBatch(m.Value, cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		return err
	}
	c := b.Events()
	if !c.Next() {
		return fmt.Errorf("a message has no event: %w", c.Err())
	}
	e := c.Event()
	if e.Op != cdc.OpRead && e.Position().String() != m.Get(bus.Position) {
		return fmt.Errorf("the position %s is not that of the event, %v", m.Get(bus.Position), e.Position())
	}
	if e.RewriteStart || e.Op == cdc.OpTruncate || e.Op == cdc.OpSchema && e.Fingerprint == 0 { // the table is gone
		clear(rows)
	}
	role := m.Get(bus.KeyRole)
	switch {
	case e.Op == cdc.OpTruncate, e.Op == cdc.OpSchema, role == "elsewhere":
		return nil
	case e.Op == cdc.OpDelete, role == "old":
		if _, ok := rows[string(e.Key)]; !ok && !p.loading {
			return fmt.Errorf("there is no row to remove at %v", e.Position())
		}
		delete(rows, string(e.Key))
		return nil
	case e.Op == cdc.OpUpdate:
		return p.updated(e, role)
	}
	if _, ok := rows[string(e.Key)]; ok && !p.loading {
		return fmt.Errorf("a row is inserted twice at %v", e.Position())
	}
	return put(rows, e.Key, e.New)
}

// updated overlays a row. The row of a key that changes is in the new key's partition only as far as the event
// tells, and as it was read there.
func (p *part) updated(e *cdc.Event, role string) error {
	key, base, ok := e.Key, p.rows[string(e.Key)], true
	if len(e.NewKey) == 0 {
		if base == nil && p.loading {
			return nil // it is read later, or removed
		}
		ok = base != nil
	} else {
		delete(p.rows, string(e.Key))
		key = e.NewKey
		switch held := p.rows[string(key)]; {
		case held != nil:
			ok, base = p.loading, held
		case role != "" || base == nil:
			base = e.Old
		}
	}
	if !ok {
		return fmt.Errorf("there is no row to update, or there is one, at %v", e.Position())
	}
	row, err := cdc.Overlay(nil, base, e.New, e.Nulls)
	if err != nil {
		return err
	}
	return put(p.rows, key, row)
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

// apply is that of a partition that is not loaded.
func apply(rows map[string]cdc.Row, m *bus.Message) error { return (&part{rows: rows}).apply(m) }
