package registry

import (
	"fmt"
	"strings"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/value"
	"github.com/pgcdc/cdc/relay/plan"
)

// Import is the file that messages of columns' types are in.
const Import = "cdc/v1/cdc.proto"

// fieldTypes are types of fields; those with a dot are messages of the import. All others are strings.
var fieldTypes = map[value.Type]string{
	value.TypeBool: "bool", value.TypeInt32: "sint32", value.TypeInt64: "sint64", value.TypeUint32: "uint32",
	value.TypeFloat: "float", value.TypeDouble: "double", value.TypeBytes: "bytes", value.TypeUUID: "bytes",
	value.TypeTimestamp: "sfixed64", value.TypeTimestampTZ: "sfixed64", value.TypeDate: "sint32", value.TypeTime: "int64",
	value.TypeTimeTZ: ".cdc.v1.TimeTz", value.TypeInterval: ".cdc.v1.Interval",
}

// arrayTypes are messages of arrays by the type of the elements. All others are StringArray.
var arrayTypes = map[value.Type]string{
	value.TypeBool: "Bool", value.TypeInt32: "Int32", value.TypeInt64: "Int64", value.TypeUint32: "UInt32",
	value.TypeFloat: "Float", value.TypeDouble: "Double", value.TypeBytes: "Bytes", value.TypeUUID: "Bytes",
}

// units are what numbers count.
var units = map[value.Type]string{
	value.TypeTimestamp:   ", microseconds since 2000-01-01 00:00:00",
	value.TypeTimestampTZ: ", microseconds since 2000-01-01 00:00:00 UTC",
	value.TypeDate:        ", days since 2000-01-01",
	value.TypeTime:        ", microseconds since midnight",
}

// redactions are what is said of them.
var redactions = map[schema.Redaction]string{
	cdcv1.Redaction_REDACTION_DROP: "redacted: dropped", cdcv1.Redaction_REDACTION_NULL: "redacted: never sent",
	cdcv1.Redaction_REDACTION_CONSTANT: "redacted: a constant", cdcv1.Redaction_REDACTION_MASK: "redacted: masked",
	cdcv1.Redaction_REDACTION_HASH: "redacted: HMAC-SHA-256", cdcv1.Redaction_REDACTION_PARTIAL: "redacted: prefix and suffix kept",
	cdcv1.Redaction_REDACTION_EMAIL: "redacted: as an e-mail address", cdcv1.Redaction_REDACTION_TRUNCATE: "redacted: truncated",
	cdcv1.Redaction_REDACTION_PATH: "redacted: in parts", cdcv1.Redaction_REDACTION_WITHHELD: "withheld",
}

// Proto gives a .proto file with a message for rows of a table, as cdc.proto() has it for one that is so now, but for
// what the stream does not tell: comments, labels, former names, and numbers of dropped columns behind the last one.
// imports tells whether it needs the import.
func Proto(t *schema.Table, major uint32) (text string, imports bool) {
	var b strings.Builder
	for i := range t.Columns {
		imports = imports || strings.HasPrefix(fieldType(&t.Columns[i]), ".")
	}
	fmt.Fprintf(&b, "// Rows of %s, schema %v.\nsyntax = \"proto3\";\n\npackage cdc.rows.%s.%s.v%d;\n\n",
		comment(t.String()), t.Fingerprint, packagePart(t.Schema), packagePart(t.Name), max(major, 1))
	if imports {
		fmt.Fprintf(&b, "import %q;\n\n", Import)
	}
	fmt.Fprintf(&b, "message %s {\n", messageName(t.Name))
	reserve(&b, t)
	names := fieldNames(t)
	for i := range t.Columns {
		field(&b, &t.Columns[i], names[i])
	}
	b.WriteString("}\n")
	return b.String(), imports
}

func fieldType(c *schema.Column) string {
	switch {
	case c.Redaction != 0:
		return "string"
	case c.Type == value.TypeArray:
		element := arrayTypes[c.Element]
		if element == "" {
			element = "String"
		}
		return ".cdc.v1." + element + "Array"
	case fieldTypes[c.Type] != "":
		return fieldTypes[c.Type]
	}
	return "string"
}

// reserve writes down numbers that no field has. A redacted column's own number stays the column's.
func reserve(b *strings.Builder, t *schema.Table) {
	separator := "  reserved "
	next := uint32(1)
	number := func(n uint32) {
		fmt.Fprintf(b, "%s%d", separator, n)
		separator = ", "
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		for ; next < c.Number; next++ {
			number(next)
		}
		if c.Redaction != 0 {
			number(c.Number)
		}
		next = c.Number + 1
	}
	if separator == ", " {
		b.WriteString(";\n")
	}
}

func field(b *strings.Builder, c *schema.Column, name string) {
	b.WriteString("  // ")
	if name != c.Name {
		b.WriteString(comment(strings.TrimPrefix(schema.QualifiedName("", c.Name), ".")) + ": ")
	}
	b.WriteString(comment(c.PgType))
	for _, note := range []struct {
		said bool
		text string
	}{{c.NotNull, ", not null"}, {c.Key, ", key"}, {c.Generated, ", generated"}} {
		if note.said {
			b.WriteString(note.text)
		}
	}
	number := c.Number
	if c.Redaction != 0 {
		number += tuple.RedactedBase
		b.WriteString(", " + redactions[c.Redaction])
	} else {
		b.WriteString(units[c.Type])
	}
	b.WriteByte('\n')
	if !plan.HeldBack(c) {
		fmt.Fprintf(b, "  optional %s %s = %d;\n", fieldType(c), name, number)
	}
}
