package bus

import "testing"

// A READ stands behind the transaction whose position it has: that one is whole, though it is not the READ that says so.
func TestMarkOfRead(t *testing.T) {
	m := Message{Headers: []Header{{Position, "0/10/0/5/2"}, {Op, Read}, {Confirm, "0/20"}, {SourceName, "1/1/d/s"}, {Load, "1"}}}
	for _, op := range []string{Read, "INSERT"} {
		m.Set(Op, op)
		kept := Record{Mark: MarkOf(m.Headers)}
		mark, err := kept.ParseMark()
		if err != nil {
			t.Fatal(err)
		}
		if mark.Whole != (op == Read) || mark.Position.CommitLSN != 0x10 || mark.Confirm != 0x20 || mark.Copies != 1 {
			t.Errorf("%s: %+v", op, mark)
		}
	}
}
