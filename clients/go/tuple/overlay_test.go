package tuple

import (
	"bytes"
	"errors"
	"testing"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
)

func TestOverlay(t *testing.T) {
	field := func(n uint32, v string) Row { return wire.AppendLen(nil, n, []byte(v)) }
	join := func(rows ...Row) Row { return bytes.Join([][]byte{rows[0], bytes.Join(toBytes(rows[1:]), nil)}, nil) }
	base := join(field(1, "a"), field(2, "b"), field(3, "c"), field(9999, "unknown"))
	for name, c := range map[string]struct {
		delta Row
		nulls []uint64
		want  Row
	}{
		"nothing":          {nil, nil, base},
		"replaces":         {field(2, "B"), nil, join(field(1, "a"), field(3, "c"), field(9999, "unknown"), field(2, "B"))},
		"sets NULL":        {nil, []uint64{1, 3}, join(field(2, "b"), field(9999, "unknown"))},
		"adds":             {field(4, "d"), nil, join(base, field(4, "d"))},
		"unknown":          {field(9999, "x"), nil, join(field(1, "a"), field(2, "b"), field(3, "c"), field(9999, "x"))},
		"empty is a value": {field(1, ""), nil, join(field(2, "b"), field(3, "c"), field(9999, "unknown"), field(1, ""))},
	} {
		var nulls Numbers
		for _, n := range c.nulls {
			nulls = wire.AppendVarint(nulls, n)
		}
		got, err := Overlay(nil, base, c.delta, nulls)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	redacted := join(field(1, "a"), field(RedactedBase+2, "*"), field(RedactedBase+3, "*"))
	if got, err := Overlay(nil, redacted, nil, Numbers{2}); err != nil || !bytes.Equal(got, join(field(1, "a"), field(RedactedBase+3, "*"))) {
		t.Errorf("what stood for a value that is NULL now: %q, %v", got, err)
	}
	if _, err := Overlay(nil, base[:len(base)-1], nil, nil); !errors.Is(err, fault.ErrDamaged) {
		t.Error("a cut row is overlaid:", err)
	}
	if _, err := Overlay(nil, base, Row{0x0A, 5, 1}, nil); !errors.Is(err, fault.ErrDamaged) {
		t.Error("a cut delta is overlaid:", err)
	}
}

func toBytes(rows []Row) (out [][]byte) {
	for _, r := range rows {
		out = append(out, r)
	}
	return out
}
