package cdc

import (
	"errors"
	"testing"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

func TestFits(t *testing.T) {
	// cdcv1.Source: 1 fixed64, 2 uint32, 3 string, 6 uint32
	message := (&cdcv1.Source{}).ProtoReflect().Descriptor()
	table := func(columns ...Column) *Table { return &Table{Schema: "s", Name: "t", Columns: columns} }
	if err := Fits(message, table(Column{Number: 2, Type: TypeUint32}, Column{Number: 3, Type: TypeText}, Column{Number: 99, Type: TypeBool})); err != nil {
		t.Error(err)
	}
	var fit *FitError
	err := Fits(message, table(Column{Number: 3, Name: "amount", Type: TypeInt64}))
	if !errors.As(err, &fit) || fit.Column != "amount" || fit.Want != "sint64" || fit.Have != "string" {
		t.Error(err)
	}
	if Fits(message, table(Column{Number: 3, Type: TypeArray, Element: TypeText})) == nil {
		t.Error("an array fits a string")
	}
	masked := Column{Number: 3, Name: "m", Type: TypeInt64, Redaction: cdcv1.Redaction_REDACTION_MASK}
	if err := Fits(message, table(masked)); err != nil {
		t.Error("a redacted column does not use its field:", err)
	}
	d := NewDecoder[*cdcv1.Source]()
	good := table(Column{Number: 3, Type: TypeText})
	m, err := d.Decode(good, wire.AppendLen(nil, 3, []byte("db")))
	if err != nil || m.Database != "db" {
		t.Error(m, err)
	}
	if _, err := d.Decode(good, Row{0x0A, 9}); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	bad := table(Column{Number: 3, Type: TypeInt64})
	bad.Fingerprint = 1
	for range 2 {
		if _, err := d.Decode(bad, nil); !errors.As(err, &fit) {
			t.Error(err)
		}
	}
}
