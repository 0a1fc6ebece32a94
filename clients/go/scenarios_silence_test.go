package cdc_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgcdc/cdc/clients/go"
)

var _ = addScenarios(map[string]func(*testing.T){
	"silence-stream":    func(t *testing.T) { silence(t, cdc.TransportReplication) },
	"silence-fetch":     func(t *testing.T) { silence(t, cdc.TransportFetch) },
	"silence-connect":   silenceConnect,
	"silence-questions": silenceQuestions,
	"keepalives":        keepalives,
})

// proxy passes on to the server's Unix socket. When it is muted, what goes through it
// then never arrives.
type proxy struct {
	port  string
	mu    sync.Mutex
	muted []*atomic.Bool
}

func newProxy(t *testing.T) *proxy {
	p := &proxy{}
	p.port = pretend(t, func(client net.Conn) {
		server, err := net.Dial("unix", serverSocket())
		if err != nil {
			client.Close()
			return
		}
		t.Cleanup(func() { server.Close() })
		muted := new(atomic.Bool)
		p.mu.Lock()
		p.muted = append(p.muted, muted)
		p.mu.Unlock()
		pass := func(to io.WriteCloser, from io.Reader) {
			defer to.Close()
			buffer := make([]byte, 1<<16)
			for {
				n, err := from.Read(buffer)
				if muted.Load() {
					_, _ = io.Copy(io.Discard, from)
					select {} // not even an end
				}
				if n > 0 {
					_, err2 := to.Write(buffer[:n])
					if err2 != nil {
						return
					}
				}
				if err != nil {
					return
				}
			}
		}
		go pass(server, client)
		pass(client, server)
	})
	return p
}

// mute makes all connections of now silent, and not those that come.
func (p *proxy) mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.muted {
		m.Store(true)
	}
}

func silence(t *testing.T, transport cdc.Transport) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	d.makeSlot()
	p := newProxy(t)
	config := d.config(t)
	config.CreateSlot, config.Transport, config.FetchWait = false, transport, time.Second
	config.Conn = "host=127.0.0.1 port=" + p.port + " dbname=" + d.name + " sslmode=disable options='-c wal_sender_timeout=2s'"
	config.MaxBackoff = 100 * time.Millisecond
	stream := d.open(config)
	d.exec("INSERT INTO t VALUES (1)")
	stream.Ack(receive(t, stream))
	p.mute()
	d.exec("INSERT INTO t VALUES (2)")
	txn, err := stream.Next(timeout(t, 12*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(t, txn); len(got) != 1 || !strings.Contains(got[0], `"id":2`) {
		t.Fatal(got)
	}
}

// opensWithin tells how long opening took, which must fail.
func failsWithin(t *testing.T, limit time.Duration, config cdc.Config, words string) {
	t.Helper()
	began := time.Now()
	stream, err := cdc.Open(context.Background(), config)
	if err == nil {
		stream.Close()
		t.Fatal("it began")
	}
	if time.Since(began) > limit || !strings.Contains(err.Error(), words) {
		t.Fatalf("after %v: %v", time.Since(began), err)
	}
}

func silenceConnect(t *testing.T) {
	port := pretend(t, func(net.Conn) {})
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		failsWithin(t, 5*time.Second, cdc.Config{Slot: "s", ReadOnly: true, Transport: transport,
			Conn: "host=127.0.0.1 port=" + port + " connect_timeout=2 sslmode=disable user=x"}, "timeout")
	}
}

// answers is a server that lets everybody in and then says nothing.
func answers(t *testing.T, more func(*pgproto3.Backend)) string {
	return pretend(t, func(conn net.Conn) {
		backend := greet(conn)
		backend.Send(&pgproto3.AuthenticationOk{})
		backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		_ = backend.Flush()
		if more != nil {
			more(backend)
		}
	})
}

func silenceQuestions(t *testing.T) {
	port := answers(t, nil)
	for _, transport := range []cdc.Transport{cdc.TransportReplication, cdc.TransportFetch} {
		failsWithin(t, 10*time.Second, cdc.Config{Slot: "s", ReadOnly: true, Transport: transport,
			Conn: "host=127.0.0.1 port=" + port + " connect_timeout=2 sslmode=disable user=x"}, "timeout")
	}
}

func keepalives(t *testing.T) {
	port := pretend(t, func(net.Conn) {})
	for words, want := range map[string][5]int{ // SO_KEEPALIVE, idle, interval, count, user timeout
		"keepalives_idle=7 keepalives_interval=3 keepalives_count=2 tcp_user_timeout=12345": {1, 7, 3, 2, 12345},
		"keepalives=0": {0, -1, -1, -1, 0},
	} {
		conn, err := cdc.DialForTest("host=127.0.0.1 sslmode=disable user=x port=" + port + " " + words)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := conn.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			for i, option := range [5][2]int{{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
				{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT}, {syscall.IPPROTO_TCP, 18}} {
				if got, err := syscall.GetsockoptInt(int(fd), option[0], option[1]); err != nil || want[i] >= 0 && got != want[i] {
					t.Errorf("%s: option %d is %d, %v; want %d", words, i, got, err, want[i])
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}
