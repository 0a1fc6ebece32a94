package pump

import (
	"errors"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// A transaction of three events with three messages each goes on behind any of them.
func TestResumeBehindAnyMessage(t *testing.T) {
	before, at, after := &cdc.Txn{}, &cdc.Txn{}, &cdc.Txn{}
	before.CommitLSN, at.CommitLSN, after.CommitLSN = 100, 200, 300
	position := func(i int) cdc.Position { return cdc.Position{CommitLSN: 200, LSN: cdc.LSN(150 + i)} }
	for last := range 9 {
		mark := &bus.Mark{Position: position(last / 3), Copy: last%3 + 1, Copies: 3, Whole: last == 8}
		r := resume{mark: mark}
		if !r.whole(before) || r.whole(at) != mark.Whole || r.whole(after) {
			t.Errorf("%d: whole", last)
		}
		if mark.Whole {
			continue
		}
		sent := 0
		for i := range 3 {
			sent += len(r.rest(at, position(i), make([]bus.Message, 3)))
		}
		if err := r.end(at); err != nil || sent != 8-last {
			t.Errorf("behind %d: %d are sent, %v", last, sent, err)
		}
		if len(r.rest(after, cdc.Position{CommitLSN: 300}, make([]bus.Message, 2))) != 2 {
			t.Errorf("behind %d: the next transaction is not whole", last)
		}
	}
}

// The event that the log ends with is not sent any more: going on would lose or double.
func TestResumeWithoutThePlace(t *testing.T) {
	txn := &cdc.Txn{}
	txn.CommitLSN = 200
	r := resume{mark: &bus.Mark{Position: cdc.Position{CommitLSN: 200, LSN: 7}, Copy: 1}}
	r.rest(txn, cdc.Position{CommitLSN: 200, LSN: 8}, make([]bus.Message, 1))
	var refused *bus.ConfigError
	if err := r.end(txn); !errors.As(err, &refused) {
		t.Errorf("the error is %v", err)
	}
}
