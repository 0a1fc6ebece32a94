package live

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// link stands between the relay and a broker: it can be cut, slow, and lose packets, as far as one who
// uses TCP notices (they come again, and all that follow wait for them).
type link struct {
	listener net.Listener
	to       string
	delay    atomic.Int64 // nanoseconds, on the average
	loss     atomic.Int64 // of a thousand packets

	patience atomic.Int64 // answers wait until the relay was silent for so many nanoseconds
	waits    atomic.Int64 // how often answers had to

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// newLink leads to an address.
func newLink(t testing.TB, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, to: to, conns: map[net.Conn]bool{}}
	go l.accept()
	t.Cleanup(func() { listener.Close(); l.cut() })
	return l
}

func (l *link) address() string { return l.listener.Addr().String() }

// bad makes it so, and good again with zeros.
func (l *link) bad(delay time.Duration, loss int64) {
	l.delay.Store(int64(delay))
	l.loss.Store(loss)
}

// cut ends all connections of now.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	clear(l.conns)
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.connect(near)
	}
}

func (l *link) connect(near net.Conn) {
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		near.Close()
		return
	}
	l.mu.Lock()
	l.conns[near], l.conns[far] = true, true
	l.mu.Unlock()
	var sent atomic.Int64 // when the relay has sent something
	go l.carry(near, far, func() { sent.Store(time.Now().UnixNano()) })
	l.carry(far, near, func() { l.wait(&sent) })
	l.mu.Lock()
	delete(l.conns, near)
	delete(l.conns, far)
	l.mu.Unlock()
}

// wait holds an answer back until the relay has nothing more to say without it.
func (l *link) wait(sent *atomic.Int64) {
	patience := l.patience.Load()
	if patience == 0 {
		return
	}
	waited := false
	for time.Now().UnixNano()-sent.Load() < patience {
		time.Sleep(time.Millisecond)
		waited = true
	}
	if waited {
		l.waits.Add(1)
	}
}

func (l *link) carry(from, to net.Conn, before func()) {
	defer from.Close()
	defer to.Close()
	packet := make([]byte, 32<<10)
	for {
		n, err := from.Read(packet)
		if n > 0 {
			before()
			if delay := l.delay.Load(); delay > 0 {
				time.Sleep(time.Duration(delay/3 + rand.Int64N(delay*4/3)))
				if rand.Int64N(1000) < l.loss.Load() {
					time.Sleep(200 * time.Millisecond)
				}
			}
			if _, err := to.Write(packet[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
