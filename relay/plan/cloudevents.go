package plan

import (
	"strconv"
	"strings"

	"github.com/pgcdc/cdc/relay/bus"
)

// cloud adds the attributes of CloudEvents 1.0 in binary mode. Source and id together are of one message: of
// several that an event has, others but the first say which one in their ids.
func (p *Plan) cloud(messages []bus.Message) {
	if p.options.CloudEvents == "" {
		return
	}
	for i := range messages {
		m := &messages[i]
		h := append(make([]bus.Header, 0, len(m.Headers)+8), m.Headers...)
		add := func(name, value string) {
			if value != "" {
				h = append(h, bus.Header{Name: p.options.CloudEvents + name, Value: value})
			}
		}
		op := m.Get(bus.Op)
		add("specversion", "1.0")
		add("id", p.cloudID(m, op))
		add("type", "cdc.v1."+op)
		add("source", "/cdc/"+p.source)
		add("subject", m.Get(bus.Relation))
		add("time", p.commitTime)
		m.Headers = h
	}
}

func (p *Plan) cloudID(m *bus.Message, op string) string {
	id := m.Get(bus.Position)
	if op == bus.Read { // many have the same position, and without a key nothing else that tells one from the other
		p.reads++
		id += "/" + m.Get(bus.Load) + "/" + p.session + strconv.FormatUint(p.reads, 10)
	}
	if m.IsMarker() {
		return id + "/" + op
	}
	if copies := m.Get(bus.Copy); copies != "" && !strings.HasPrefix(copies, "1/") {
		id += "/" + strings.Split(copies, "/")[0]
	}
	return id
}
