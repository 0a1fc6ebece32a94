package jetstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/pgcdc/cdc/relay/bus"
)

// publisher sends messages and takes the server's answers: what the library's own would do for each of
// them (a header, a future, a timer, decoding JSON) takes more than all else.
type publisher struct {
	conn    *nats.Conn
	subject string // of answers, with a dot behind it
	header  nats.Header
	names   []string // in header
	answers chan answer

	// Each message has an id and names that of the one before it. By its number alone a late message of
	// another session would fit where one of ours was refused.
	session string
	id      string // of the last message; empty before the first one
}

// answer of the server for the message of a sequence.
type answer struct {
	sequence uint64
	err      error
}

// newPublisher listens to answers.
func newPublisher(conn *nats.Conn) (*publisher, error) {
	p := &publisher{conn: conn, subject: nats.NewInbox() + ".", header: nats.Header{}, answers: make(chan answer, 2*maxInFlight),
		session: nuid.Next()}
	_, err := conn.Subscribe(p.subject+"*", func(m *nats.Msg) {
		select {
		case p.answers <- p.read(m):
		default: // nobody takes them any more
		}
	})
	return p, err
}

// send sends a message that is to follow the one of the sequence before. The library has the
// bytes when it returns, so that one header serves all.
func (p *publisher) send(subject string, headers []bus.Header, value []byte, before uint64) error {
	if len(p.names) > 4*len(headers) { // of other messages
		clear(p.header)
		p.names = p.names[:0]
	}
	for _, name := range p.names {
		p.header[name] = p.header[name][:0]
	}
	for i := range headers {
		p.set(headers[i].Name, headers[i].Value)
	}
	p.set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(before, 10))
	if p.id != "" {
		p.set(jetstream.ExpectedLastMsgIDHeader, p.id)
	}
	p.id = p.session + strconv.FormatUint(before+1, 10)
	p.set(jetstream.MsgIDHeader, p.id)
	reply := p.subject + strconv.FormatUint(before+1, 10)
	return p.conn.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Header: p.header, Data: value})
}

func (p *publisher) set(name, value string) {
	values, known := p.header[name]
	if !known {
		p.names = append(p.names, name)
	}
	p.header[name] = append(values[:0], value)
}

// read takes in an answer.
func (p *publisher) read(m *nats.Msg) answer {
	var a answer
	a.sequence, _ = strconv.ParseUint(m.Subject[len(p.subject):], 10, 64)
	if got, ok := stored(m.Data); ok {
		if got != a.sequence {
			a.err = fmt.Errorf("NATS has stored a message as %d, not %d", got, a.sequence)
		}
		return a
	}
	var content struct {
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &content); {
	case len(m.Data) == 0 && m.Header.Get("Status") == "503":
		a.err = explained(jetstream.ErrNoStreamResponse)
	case err != nil:
		a.err = fmt.Errorf("the answer of NATS: %w", err)
	case content.Error != nil:
		a.err = explained(content.Error)
	default:
		a.err = fmt.Errorf("the answer of NATS is %q", m.Data)
	}
	return a
}

// stored reads {"stream":"CDC", "seq":1} as the server writes it; a stream's name has no quotes. Of everything
// else it is not sure.
func stored(data []byte) (sequence uint64, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok {
		return 0, false
	}
	_, rest, ok = bytes.Cut(rest, []byte(`"`))
	rest, found := bytes.CutPrefix(bytes.TrimLeft(rest, ", "), []byte(`"seq":`))
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		sequence = 10*sequence + uint64(rest[digits]-'0')
		digits++
	}
	return sequence, ok && found && digits > 0 && digits < 19 && bytes.IndexByte(rest, '{') < 0
}

// wrongLastID is the server's code for a message that follows another one than it says.
const wrongLastID jetstream.ErrorCode = 10070

// explained tells what a refusal means.
func explained(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant, wrongLastID:
			return &bus.FencedError{Err: err}
		}
	}
	return fmt.Errorf("NATS has not stored a message: %w", err)
}

// watch has the session end when the connection does: what is on its way is lost with it.
func (b *Bus) watch() {
	changed := b.conn.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	select {
	case <-b.stored:
	case <-changed:
		b.fail(errors.New("the connection to NATS is lost"))
	}
}

// await waits until the message of a sequence is stored.
func (b *Bus) await(sequence uint64) error {
	if b.answered >= sequence {
		return nil
	}
	timer := time.NewTimer(ackTimeout)
	defer timer.Stop()
	for b.answered < sequence {
		select {
		case a := <-b.publisher.answers:
			if a.err != nil {
				return a.err
			}
			b.answered = max(b.answered, a.sequence)
		case <-timer.C:
			return fmt.Errorf("NATS has not answered for %v", ackTimeout)
		case <-b.stored:
			return b.err()
		}
	}
	return nil
}
