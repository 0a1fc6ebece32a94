package wal

import (
	"slices"
	"testing"
)

func TestLSN(t *testing.T) {
	for text, want := range map[string]LSN{
		"0/0": 0, "16/B374D848": 0x16B374D848, "0/01781B18": 0x1781B18, "FFFFFFFF/FFFFFFFF": 1<<64 - 1,
		"a/b": 0xA0000000B,
	} {
		got, err := ParseLSN(text)
		if got != want || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if again, err := ParseLSN(got.String()); again != want || err != nil {
			t.Errorf("%s does not survive its text form %s", text, got)
		}
	}
	for _, text := range []string{"", "/", "1", "1/", "/1", "1/2/3", "100000000/0", "0/-1", "+1/0", "0x1/0", " 0/0", "000000001/0"} {
		if _, err := ParseLSN(text); err == nil {
			t.Errorf("%q is taken for an LSN", text)
		}
	}
}

func TestPosition(t *testing.T) {
	p, err := ParsePosition("16/B374D848/16/B374D700/12")
	if err != nil || p != (Position{0x16B374D848, 0x16B374D700, 12}) || p.String() != "16/B374D848/16/B374D700/12" {
		t.Fatal(p, err)
	}
	for _, text := range []string{"", "0/1", "0/1/0/2", "0/1/0/2/", "0/1/0/2/-1", "0/1/0/2/4294967296", "0/1/0/2/3/4", "0/1/0/2/+3"} {
		if _, err := ParsePosition(text); err == nil {
			t.Errorf("%q is taken for a position", text)
		}
	}
	sorted := []Position{{}, {1, 0, 9}, {1, 1, 0}, {1, 1, 1}, {2, 0, 0}}
	if !slices.IsSortedFunc(sorted, Position.Compare) || sorted[1].Compare(sorted[1]) != 0 {
		t.Error("order of positions")
	}
}
