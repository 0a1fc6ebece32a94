package kafka

import (
	"slices"
	"strconv"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// parts counts the transactions of Kafka that one of PostgreSQL is cut into.
type parts struct {
	within bool    // something of the transaction at hand was sent
	number int     // of the part at hand; 0: it is not cut so far
	resume cdc.LSN // of the transaction that an earlier session has begun
}

// goOn takes over from the session before.
func (p *parts) goOn(m *bus.Mark) {
	if m == nil || m.Whole {
		return
	}
	p.within, p.resume, p.number = true, m.Position.CommitLSN, max(1, m.Part)
}

// begin is called when a transaction of Kafka is opened.
func (p *parts) begin() {
	if p.within {
		p.number = max(1, p.number) + 1
	}
}

// end is called at the end of a transaction of PostgreSQL.
func (p *parts) end(t *cdc.Txn) {
	if t.CommitLSN >= p.resume { // others come again, and are in the log
		*p = parts{}
	}
}

// mark says in the messages of an event which part they are in. full: more of the transaction has
// to go into another part.
func (p *parts) mark(messages []bus.Message, full bool) {
	p.within = true
	last := &messages[len(messages)-1]
	switch {
	case p.number > 0:
		for i := range messages {
			setPart(&messages[i], p.number)
		}
	case full && last.Get(bus.End) == "":
		setPart(last, 1)
	}
}

func setPart(m *bus.Message, number int) {
	m.Headers = slices.Clip(m.Headers) // others may have the same
	m.Set(bus.Part, strconv.Itoa(number))
}
