package cdc

import (
	"bytes"
	"context"
)

// MemoryState is a State that is lost with the process. It is not safe for
// concurrent use.
type MemoryState struct {
	rows    map[string]map[string]Row
	schemas map[string][]byte
	applied Position
}

// NewMemoryState makes an empty one.
func NewMemoryState() *MemoryState {
	return &MemoryState{rows: map[string]map[string]Row{}, schemas: map[string][]byte{}}
}

// Get implements State.
func (m *MemoryState) Get(_ context.Context, relation string, key []byte) (Row, error) {
	return m.rows[relation][string(key)], nil
}

// Put implements State.
func (m *MemoryState) Put(_ context.Context, relation string, key []byte, row Row) error {
	rows := m.rows[relation]
	if rows == nil {
		rows = map[string]Row{}
		m.rows[relation] = rows
	}
	rows[string(key)] = append(make(Row, 0, len(row)), row...) // never nil: a row may be empty
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
func (m *MemoryState) Scan(_ context.Context, relation string, f func([]byte, Row) error) error {
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
	m.schemas[relation] = bytes.Clone(table)
	return nil
}

// Applied implements State.
func (m *MemoryState) Applied(context.Context) (Position, error) { return m.applied, nil }

// Commit implements State.
func (m *MemoryState) Commit(_ context.Context, p Position) error {
	m.applied = p
	return nil
}

// Len is the number of rows of a relation.
func (m *MemoryState) Len(relation string) int { return len(m.rows[relation]) }
