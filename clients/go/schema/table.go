// Package schema has tables as a stream describes them, by their fingerprints.
package schema

import (
	"crypto/sha256"
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
)

// Fingerprint addresses a schema by its content: the first 8 bytes, read big
// endian, of SHA-256 over the serialized Table.
type Fingerprint uint64

// String gives 16 lower-case hexadecimal digits.
func (f Fingerprint) String() string { return string(f.Append(nil)) }

// Append appends what String gives.
func (f Fingerprint) Append(dst []byte) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[f>>shift&15])
	}
	return dst
}

// FingerprintOf gives the fingerprint of a serialized Table.
func FingerprintOf(table []byte) Fingerprint {
	sum := sha256.Sum256(table)
	return Fingerprint(binary.BigEndian.Uint64(sum[:8]))
}

// Table is what a stream sends of a relation. It is not to be changed: it is
// shared by all that have the schema.
type Table struct {
	Fingerprint Fingerprint
	// Schema and Name as they are, without quotes.
	Schema, Name string
	// Columns in attnum order.
	Columns []Column
	// ReplicaIdentity of the relation that changed.
	ReplicaIdentity ReplicaIdentity
	// Bytes is the serialized Table that the fingerprint is of.
	Bytes []byte

	name     string  // String()
	index    []int32 // attnum to place in Columns plus 1
	key      bool
	redacted bool
}

// Column of a Table.
type Column struct {
	// Number is the attnum: 1 to 1600.
	Number uint32
	Name   string
	// Type is the meaning and encoding of the values; a domain has its base type's.
	Type value.Type
	// Element is the type of the elements of a TypeArray.
	Element value.Type
	// PgType is the declared type, schema-qualified: "pg_catalog.numeric(12,2)".
	PgType string
	// Key: part of the row's key.
	Key bool
	// NotNull: NOT NULL is declared.
	NotNull bool
	// Generated: a stored generated column.
	Generated bool
	// Redaction, when values are redacted or held back.
	Redaction Redaction
	// Missing is a row with this column alone: its value in rows that are older
	// than the column. Empty: they have NULL.
	Missing tuple.Row
	// MissingUnavailable: such rows have a value that cannot be sent.
	MissingUnavailable bool
}

// Column gives the column with an attnum, nil if there is none.
func (t *Table) Column(number uint32) *Column {
	if i := t.Place(number); i >= 0 {
		return &t.Columns[i]
	}
	return nil
}

// Place in Columns of the one with an attnum, -1 if there is none.
func (t *Table) Place(number uint32) int {
	if number < uint32(len(t.index)) {
		return int(t.index[number]) - 1
	}
	return -1
}

// ColumnNamed gives the column with a name, nil if there is none.
func (t *Table) ColumnNamed(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// Redacted tells whether some column is redacted or held back.
func (t *Table) Redacted() bool { return t.redacted }

// HasKey tells whether rows of the table have a key in the stream.
func (t *Table) HasKey() bool { return t.key }

// String gives schema.name, with double quotes where a name needs them.
func (t *Table) String() string {
	if t.name != "" {
		return t.name
	}
	return QualifiedName(t.Schema, t.Name)
}

// QualifiedName gives schema.name, with double quotes where a name needs them.
func QualifiedName(schema, name string) string {
	return string(appendIdentifier(append(appendIdentifier(nil, schema), '.'), name))
}

// appendIdentifier quotes as the protocol defines it, which is less than SQL
// does.
func appendIdentifier(dst []byte, name string) []byte {
	plain := name != "" && (name[0] < '0' || name[0] > '9')
	for i := 0; i < len(name); i++ {
		c := name[i]
		plain = plain && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_')
	}
	if plain || name == "" {
		return append(dst, name...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(name); i++ {
		if name[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, name[i])
	}
	return append(dst, '"')
}

// ParseTable reads a serialized Table and keeps the bytes.
func ParseTable(bytes []byte, limits Limits) (*Table, error) {
	limits = limits.WithDefaults()
	if len(bytes) > limits.MaxTableBytes {
		return nil, fault.Damaged("schema is larger than the limit")
	}
	if err := checkColumnCount(bytes, limits.MaxColumns); err != nil {
		return nil, err
	}
	var message cdcv1.Table
	if err := proto.Unmarshal(bytes, &message); err != nil {
		return nil, fault.DamagedBy("schema is not a Table message", err)
	}
	t := &Table{
		Fingerprint:     FingerprintOf(bytes),
		Schema:          message.Schema,
		Name:            message.Name,
		ReplicaIdentity: message.ReplicaIdentity,
		Bytes:           bytes,
		Columns:         make([]Column, len(message.Columns)),
	}
	last := uint32(0)
	for i, c := range message.Columns {
		if c.Number <= last || c.Number > tuple.MaxColumns {
			return nil, fault.Damaged("schema has column numbers out of order")
		}
		last = c.Number
		t.key = t.key || c.Key
		t.redacted = t.redacted || c.Redaction != 0
		t.Columns[i] = Column{
			Number: c.Number, Name: c.Name, Type: c.Type, Element: c.Element, PgType: c.PgType,
			Key: c.Key, NotNull: c.NotNull, Generated: c.Generated, Redaction: c.Redaction,
			Missing: c.Missing, MissingUnavailable: c.MissingUnavailable,
		}
	}
	t.name = t.String()
	t.index = make([]int32, last+1)
	for i := range t.Columns {
		t.index[t.Columns[i].Number] = int32(i + 1)
	}
	return t, nil
}

// checkColumnCount counts them before memory is allocated for them.
func checkColumnCount(table []byte, limit int) error {
	const columns = 3 // Table.columns
	n := 0
	c := wire.Over(table)
	for c.Next() {
		if c.Field.Number == columns {
			n++
		}
	}
	if c.Err() != nil {
		return fault.DamagedBy("schema", c.Err())
	}
	if n > limit {
		return fault.Damaged("schema has too many columns")
	}
	return nil
}
