// Package cdctest has an in-memory source for tests of programs that read a
// stream: they need no PostgreSQL. It plays files that pg_recvlogical has
// recorded, or a workload of your own, with disconnects, repetitions, delays and
// damage.
//
//	source := cdctest.NewSource("slot")
//	source.Insert("public", "orders", "1", "2")
//	stream, err := cdc.Open(ctx, cdc.Config{Connector: source, Slot: "slot", Store: store})
package cdctest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// Source is a server that keeps what it sends in memory. Its methods may be
// called at any time.
type Source struct {
	mu       sync.Mutex
	server   cdc.Server
	frames   []frame
	status   cdc.Status
	statuses int
	changed  chan struct{}
	delay    time.Duration
	sessions map[*session]struct{}
	connects int
	refuse   error
	history  string
	next     cdc.LSN
	xid      uint32
}

// frame is what is sent, and the end of the transaction that it is of: it is sent
// to those who ask for less.
type frame struct {
	data []byte
	end  cdc.LSN
}

// NewSource makes an empty one, on system 1, timeline 1, database "test".
func NewSource(slot string) *Source {
	return &Source{
		server: cdc.Server{SystemIdentifier: 1, Timeline: 1, Database: "test", SlotDatabase: "test",
			Plugin: "cdc", ConfirmedFlush: 0x1000, WALEnd: 0x1000},
		changed: make(chan struct{}), sessions: map[*session]struct{}{}, next: 0x1000, xid: 700,
	}
}

func (s *Source) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// do changes something, and wakes the sessions.
func (s *Source) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.change()
}

// Play adds the batches of a file, as cdc.FileReader reads it.
func (s *Source) Play(file io.Reader) error {
	reader := cdc.NewFileReader(file, cdc.Limits{})
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	for {
		raw, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := cdc.ParseBatch(bytes.Clone(raw), schemas)
		if err != nil {
			return err
		}
		s.AddBatch(b.Raw(), b.EndLSN)
	}
}

// AddBatch adds any bytes in the place of a batch. end is where the transaction
// that they are of ends, 0 if that is not known yet: they come with what follows.
func (s *Source) AddBatch(batch []byte, end cdc.LSN) {
	s.do(func() {
		s.frames = append(s.frames, frame{cdc.AppendFrame(nil, batch), end})
		if end != 0 {
			for i := len(s.frames) - 2; i >= 0 && s.frames[i].end == 0; i-- {
				s.frames[i].end = end
			}
		}
		s.server.WALEnd = max(s.server.WALEnd, end)
		s.next = max(s.next, end)
	})
}

// SetServer changes what the source says of itself from the next connection on.
func (s *Source) SetServer(change func(*cdc.Server)) { s.do(func() { change(&s.server) }) }

// SetTimelineHistory is the content of the timeline's history file.
func (s *Source) SetTimelineHistory(content string) { s.do(func() { s.history = content }) }

// SetDelay makes it wait before every batch.
func (s *Source) SetDelay(d time.Duration) { s.do(func() { s.delay = d }) }

// Advance moves the server's position without sending anything, as writes in
// another database do: a keepalive tells it.
func (s *Source) Advance(to cdc.LSN) {
	s.do(func() { s.server.WALEnd = max(s.server.WALEnd, to) })
}

// Refuse makes connecting fail; nil lets it succeed again.
func (s *Source) Refuse(err error) { s.do(func() { s.refuse = err }) }

// Disconnect ends all connections.
func (s *Source) Disconnect() {
	s.mu.Lock()
	list := make([]*session, 0, len(s.sessions))
	for c := range s.sessions {
		list = append(list, c)
	}
	s.mu.Unlock()
	for _, c := range list {
		c.Close()
	}
}

// Status is what was reported last, and how many reports there were.
func (s *Source) Status() (status cdc.Status, reports int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.statuses
}

// Connects counts connections.
func (s *Source) Connects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connects
}

// Connect implements cdc.Connector.
func (s *Source) Connect(context.Context) (cdc.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	s.connects++
	server := s.server
	c := &session{source: s, server: &server, closed: make(chan struct{}), history: s.history}
	s.sessions[c] = struct{}{}
	return c, nil
}

type session struct {
	source  *Source
	server  *cdc.Server
	history string
	next    int     // frame to send
	told    cdc.LSN // in the last keepalive
	reply   bool
	once    sync.Once
	closed  chan struct{}
}

var errDisconnected = errors.New("cdctest: disconnected")

func (c *session) Server() *cdc.Server { return c.server }

func (c *session) TimelineHistory(context.Context) (string, error) { return c.history, nil }

// Start is silent about what ends before the place, as the server is.
func (c *session) Start(_ context.Context, from cdc.LSN) error {
	s := c.source
	s.mu.Lock()
	defer s.mu.Unlock()
	from = max(from, s.server.ConfirmedFlush)
	for c.next < len(s.frames) && s.frames[c.next].end != 0 && s.frames[c.next].end <= from {
		c.next++
	}
	return nil
}

func (c *session) Receive() (cdc.ServerMessage, error) {
	s := c.source
	for {
		s.mu.Lock()
		changed, delay := s.changed, s.delay
		var m cdc.ServerMessage
		switch {
		case c.next < len(s.frames):
			m = cdc.ServerMessage{WALEnd: s.server.WALEnd, Frame: s.frames[c.next].data}
			c.next++
		case c.told < s.server.WALEnd || c.reply:
			delay = 0
			m = cdc.ServerMessage{WALEnd: s.server.WALEnd}
			c.told, c.reply = s.server.WALEnd, false
		}
		s.mu.Unlock()
		if m.WALEnd == 0 {
			delay = time.Hour
		}
		timer := time.NewTimer(delay)
		select {
		case <-c.closed:
			timer.Stop()
			return m, errDisconnected
		case <-timer.C:
			if m.WALEnd != 0 {
				return m, nil
			}
		case <-wait(changed, m.WALEnd == 0):
			timer.Stop()
		}
	}
}

// wait gives the channel, or one that never has anything.
func wait(c chan struct{}, really bool) <-chan struct{} {
	if really {
		return c
	}
	return nil
}

func (c *session) SendStatus(status cdc.Status) error {
	c.source.do(func() {
		c.source.status = status
		c.source.statuses++
		c.source.server.ConfirmedFlush = max(c.source.server.ConfirmedFlush, status.Flushed)
		c.reply = c.reply || status.RequestReply
	})
	return nil
}

func (c *session) Close() {
	c.once.Do(func() {
		close(c.closed)
		c.source.mu.Lock()
		delete(c.source.sessions, c)
		c.source.mu.Unlock()
	})
}
