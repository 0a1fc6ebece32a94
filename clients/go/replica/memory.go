package replica

import (
	"bytes"
	"context"

	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// MemoryState is a State that is lost with the process. It is not safe for
// concurrent use.
type MemoryState struct {
	rows    map[string]map[string]tuple.Row
	schemas map[string][]byte
	applied wal.Position
}

// NewMemoryState makes an empty one.
func NewMemoryState() *MemoryState {
	return &MemoryState{rows: map[string]map[string]tuple.Row{}, schemas: map[string][]byte{}}
}

// Get implements State.
func (m *MemoryState) Get(_ context.Context, relation string, key []byte) (tuple.Row, error) {
	return m.rows[relation][string(key)], nil
}

// Put implements State.
func (m *MemoryState) Put(_ context.Context, relation string, key []byte, row tuple.Row) error {
	rows := m.rows[relation]
	if rows == nil {
		rows = map[string]tuple.Row{}
		m.rows[relation] = rows
	}
	rows[string(key)] = append(make(tuple.Row, 0, len(row)), row...) // never nil: a row may be empty
	return nil
}

// Delete implements State.
func (m *MemoryState) Delete(_ context.Context, relation string, key []byte) error {
	delete(m.rows[relation], string(key))
	return nil
}

// Truncate implements State.
func (m *MemoryState) Truncate(_ context.Context, relation string) error {
	delete(m.rows, relation)
	return nil
}

// Scan implements State.
func (m *MemoryState) Scan(_ context.Context, relation string, f func([]byte, tuple.Row) error) error {
	for key, row := range m.rows[relation] {
		if err := f([]byte(key), row); err != nil {
			return err
		}
	}
	return nil
}

// Schema implements State.
func (m *MemoryState) Schema(_ context.Context, relation string) ([]byte, error) {
	return m.schemas[relation], nil
}

// SetSchema implements State.
func (m *MemoryState) SetSchema(_ context.Context, relation string, table []byte) error {
	if len(table) == 0 {
		delete(m.schemas, relation)
		return nil
	}
	m.schemas[relation] = bytes.Clone(table)
	return nil
}

// Rename implements Renamer.
func (m *MemoryState) Rename(_ context.Context, from, to string) error {
	m.rows[to], m.schemas[to] = m.rows[from], m.schemas[from]
	delete(m.rows, from)
	delete(m.schemas, from)
	return nil
}

// Relations are those that the state has, also without rows, in any order.
func (m *MemoryState) Relations() (list []string) {
	for relation := range m.schemas {
		list = append(list, relation)
	}
	return list
}

// Applied implements State.
func (m *MemoryState) Applied(context.Context) (wal.Position, error) { return m.applied, nil }

// Commit implements State.
func (m *MemoryState) Commit(_ context.Context, p wal.Position) error {
	m.applied = p
	return nil
}

// Len is the number of rows of a relation.
func (m *MemoryState) Len(relation string) int { return len(m.rows[relation]) }
