package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// Whole applies a log to tables transaction by transaction, over all topics and partitions: as one does who
// wants the database as it was, and not one partition after the other. An event of several messages
// happens where all partitions have come to it.
func Whole(all []bus.Message) (Tables, error) {
	transactions := map[cdc.LSN]map[place][]*bus.Message{}
	for i := range all {
		m := &all[i]
		mark, err := bus.ParseMark(m.Get)
		if err != nil {
			return nil, err
		}
		commit, at := mark.Position.CommitLSN, place{m.Topic, m.Partition}
		if transactions[commit] == nil {
			transactions[commit] = map[place][]*bus.Message{}
		}
		transactions[commit][at] = append(transactions[commit][at], m)
	}
	tables := Tables{}
	for _, commit := range slices.Sorted(maps.Keys(transactions)) {
		if err := tables.transaction(transactions[commit]); err != nil {
			return nil, fmt.Errorf("in the transaction %v: %w", commit, err)
		}
	}
	return tables, nil
}

// transaction applies the messages of one, of which each place has some in its order.
func (t Tables) transaction(left map[place][]*bus.Message) error {
	for len(left) > 0 {
		for at, list := range left {
			for len(list) > 0 && list[0].Get(bus.Copy) == "" {
				if err := t.message(list[0]); err != nil {
					return err
				}
				list = list[1:]
			}
			if left[at] = list; len(list) == 0 {
				delete(left, at)
			}
		}
		if len(left) == 0 {
			return nil
		}
		copies := met(left)
		if copies == nil {
			return fmt.Errorf("partitions have its events in different orders, or not all messages of one")
		}
		for _, m := range copies {
			if err := t.message(m); err != nil {
				return err
			}
			at := place{m.Topic, m.Partition}
			left[at] = left[at][1:]
		}
	}
	return nil
}

// met gives the messages of an event that all its places have come to, in their order.
func met(left map[place][]*bus.Message) []*bus.Message {
	events := map[string][]*bus.Message{}
	for _, list := range left {
		for _, m := range list {
			if m.Get(bus.Position) != list[0].Get(bus.Position) {
				break
			}
			events[m.Get(bus.Position)] = append(events[m.Get(bus.Position)], m)
		}
	}
	for _, copies := range events {
		if _, of := copyOf(copies[0]); of == len(copies) {
			slices.SortFunc(copies, func(a, b *bus.Message) int {
				i, _ := copyOf(a)
				j, _ := copyOf(b)
				return cmp.Compare(i, j)
			})
			return copies
		}
	}
	return nil
}

func copyOf(m *bus.Message) (number, of int) {
	first, second, _ := strings.Cut(m.Get(bus.Copy), "/")
	number, _ = strconv.Atoi(first)
	of, _ = strconv.Atoi(second)
	return number, of
}

func (t Tables) message(m *bus.Message) error {
	name := m.Get(bus.Relation)
	if len(m.Value) == 0 || name == "" {
		return nil
	}
	if t[name] == nil {
		t[name] = map[string]cdc.Row{}
	}
	return apply(t[name], m)
}
