package pump

import (
	"fmt"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// resume leaves out what the log has already.
type resume struct {
	mark    *bus.Mark // nil: nothing, or nothing more
	reached bool      // the event that the log ends with, within its transaction
}

// whole tells whether the log has all of a transaction.
func (r *resume) whole(t *cdc.Txn) bool {
	if r.mark == nil {
		return false
	}
	at := r.mark.Position.CommitLSN
	return t.CommitLSN < at || t.CommitLSN == at && r.mark.Whole
}

// inside tells whether the log ends within a transaction, of which the rest is to follow first.
func (r *resume) inside() bool { return r.mark != nil && !r.mark.Whole }

// begun tells whether the log has something of a transaction.
func (r *resume) begun(t *cdc.Txn) bool {
	return r.mark != nil && t.CommitLSN <= r.mark.Position.CommitLSN
}

// rest gives the messages of an event that the log has not.
func (r *resume) rest(t *cdc.Txn, position cdc.Position, messages []bus.Message) []bus.Message {
	if r.mark == nil || t.CommitLSN > r.mark.Position.CommitLSN {
		r.mark = nil
		return messages
	}
	if r.reached {
		return messages
	}
	if position != r.mark.Position {
		return nil
	}
	r.reached = true
	behind := r.mark.Copy
	if len(messages) > 0 && messages[0].Get(bus.Op) == bus.Begins && !r.mark.Begins {
		behind++
	}
	return messages[min(behind, len(messages)):]
}

// end is called behind the last event of a transaction.
func (r *resume) end(t *cdc.Txn) error {
	if r.mark == nil || t.CommitLSN != r.mark.Position.CommitLSN {
		return nil
	}
	if !r.reached {
		return &bus.ConfigError{Message: fmt.Sprintf("the log ends with the change at %v, which its transaction does not have any more: "+
			"what the slot sends was changed meanwhile. Set it back, let the relay pass the transaction, and change it then", r.mark.Position)}
	}
	r.mark = nil
	return nil
}
