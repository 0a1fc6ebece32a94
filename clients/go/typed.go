package cdc

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/tuple"
)

// Decoder fills messages of a type that was generated from cdc.proto(). It is
// safe for concurrent use.
//
//	orders := cdc.NewDecoder[*rows.Orders]()
//	...
//	order, err := orders.After(event)
type Decoder[M proto.Message] struct {
	kind   protoreflect.MessageType
	checks sync.Map // Fingerprint to error or nil
}

// NewDecoder makes a Decoder of a generated type, a pointer to its struct.
func NewDecoder[M proto.Message]() *Decoder[M] {
	var none M
	return &Decoder[M]{kind: none.ProtoReflect().Type()}
}

// Decode gives a row of a table as a message. That the message's type fits the
// table is checked once for each fingerprint; the error names the column. Columns
// that the type does not have stay in the message as unknown fields.
func (d *Decoder[M]) Decode(table *Table, row Row) (m M, err error) {
	checked, ok := d.checks.Load(table.Fingerprint)
	if !ok {
		checked = fit{Fits(d.kind.Descriptor(), table)}
		d.checks.Store(table.Fingerprint, checked)
	}
	if err := checked.(fit).err; err != nil {
		return m, err
	}
	m = d.kind.New().Interface().(M)
	if err := proto.Unmarshal(row, m); err != nil {
		return m, fault.DamagedBy("row", err)
	}
	return m, nil
}

type fit struct{ err error }

// After gives the row after an event, as far as the event has it: all of an INSERT,
// READ or REWRITE; all of an UPDATE under REPLICA IDENTITY FULL with the option
// old = full, and otherwise the key and what may have changed. For whole rows in any
// case, see Overlay and Applier. A change of a schema (OpSchema) has no row: an error.
func (d *Decoder[M]) After(e *Event) (m M, err error) {
	key, row := e.Key, e.New
	if len(e.NewKey) > 0 {
		key = e.NewKey
	}
	if e.Op == OpUpdate && len(e.Old) > 0 {
		if row, err = Overlay(nil, e.Old, e.New, e.Nulls); err != nil {
			return m, err
		}
	}
	return d.join(e, key, row)
}

// Before gives the row before an event, as far as the event has it: the key, and
// under REPLICA IDENTITY FULL the rest.
func (d *Decoder[M]) Before(e *Event) (M, error) { return d.join(e, e.Key, e.Old) }

func (d *Decoder[M]) join(e *Event, key, image Row) (m M, err error) {
	if e.Op == OpSchema {
		return m, errors.New("cdc: an event of type OP_SCHEMA has no row")
	}
	table := e.Table()
	if table == nil {
		return m, &UnknownSchemaError{Fingerprint: e.Fingerprint}
	}
	return d.Decode(table, append(key[:len(key):len(key)], image...))
}

// FitError says which column of a table a message's type cannot take.
type FitError struct {
	Table  string
	Column string
	// Number of the field: the attnum, or 2000 + attnum of a redacted column.
	Number uint32
	// Want is the field's type for the column, Have what the message has.
	Want, Have string
}

// Error implements error.
func (e *FitError) Error() string {
	return fmt.Sprintf("cdc: column %q (number %d) of %s is of type %s, but the message's field is %s: generate it anew from cdc.proto()",
		e.Column, e.Number, e.Table, e.Want, e.Have)
}

// Fits checks that a message type can take rows of a table: every column that is
// sent has a field of its type, or none. A type that is wider on the same wire is
// fine (sint64 for an integer column).
func Fits(message protoreflect.MessageDescriptor, table *Table) error {
	for i := range table.Columns {
		c := &table.Columns[i]
		number, want := c.Number, fieldTypes(c)
		if c.Redaction != 0 { // what stands in its place is a string
			number, want = tuple.RedactedBase+c.Number, []string{"string"}
		}
		field := message.Fields().ByNumber(protoreflect.FieldNumber(number))
		if field == nil {
			continue
		}
		if have := fieldType(field); !slices.Contains(want, have) {
			return &FitError{Table: table.String(), Column: c.Name, Number: number, Want: want[0], Have: have}
		}
	}
	return nil
}

// fieldType names a field's type as a .proto file does.
func fieldType(f protoreflect.FieldDescriptor) string {
	name := f.Kind().String()
	if f.Message() != nil {
		name = string(f.Message().FullName())
	}
	if f.IsList() {
		return "repeated " + name
	}
	return name
}

var typeFields = map[Type][]string{
	TypeBool: {"bool"}, TypeInt32: {"sint32", "sint64"}, TypeInt64: {"sint64"}, TypeUint32: {"uint32", "uint64"},
	TypeFloat: {"float"}, TypeDouble: {"double"}, TypeNumeric: {"string"}, TypeText: {"string"},
	TypeJSON: {"string"}, TypeBytes: {"bytes"}, TypeUUID: {"bytes"}, TypeTimestamp: {"sfixed64"},
	TypeTimestampTZ: {"sfixed64"}, TypeDate: {"sint32", "sint64"}, TypeTime: {"int64"},
	TypeTimeTZ: {"cdc.v1.TimeTz"}, TypeInterval: {"cdc.v1.Interval"}, TypeOther: {"string"},
}

var elementFields = map[Type]string{
	TypeBool: "Bool", TypeInt32: "Int32", TypeInt64: "Int64", TypeUint32: "UInt32", TypeFloat: "Float",
	TypeDouble: "Double", TypeBytes: "Bytes", TypeUUID: "Bytes",
}

// fieldTypes are those that a column's field may have; the first is what
// cdc.proto() gives it.
func fieldTypes(c *Column) []string {
	if c.Type == TypeArray {
		element := elementFields[c.Element]
		if element == "" {
			element = "String"
		}
		return []string{"cdc.v1." + element + "Array"}
	}
	if list := typeFields[c.Type]; list != nil {
		return list
	}
	return []string{c.Type.String()}
}
