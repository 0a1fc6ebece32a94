package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// Puller is a session that gets what it asks for, and no more.
type Puller interface {
	// Asks tells whether the next Receive asks the server, instead of reading on in
	// what was asked for before.
	Asks() bool
	// Limit says how many bytes to ask for; the last transaction may exceed it.
	Limit(bytes int)
	// Silence is how long the server was asked to be silent.
	Silence() time.Duration
}

// fetchSession calls cdc.fetch() again and again. Statements have no name, and rows
// are read one by one.
type fetchSession struct {
	conn   *pgconn.PgConn
	server *Server
	to     *Endpoint

	question time.Duration // how long an answer may take
	run      context.Context
	cancel   context.CancelFunc
	closed   sync.Once

	flushed atomic.Uint64 // what may be confirmed

	using     sync.Mutex // held while the connection is at work
	bytes     int        // to ask for
	from      wal.LSN
	confirmed wal.LSN
	rows      *pgconn.ResultReader // of the call at work
	ahead     bool                 // the first of them has been read
	started   chan error           // of the first call, until Receive has looked at it
}

var _ Puller = (*fetchSession)(nil)

func newFetchSession(conn *pgconn.PgConn, server *Server, to *Endpoint, question time.Duration) *fetchSession {
	s := &fetchSession{conn: conn, server: server, to: to, question: question, bytes: to.FetchBytes, confirmed: server.ConfirmedFlush}
	s.run, s.cancel = context.WithCancel(context.Background())
	return s
}

// Server implements Session.
func (s *fetchSession) Server() *Server { return s.server }

// Asks implements Puller.
func (s *fetchSession) Asks() bool { return s.started == nil && s.rows == nil }

// Limit implements Puller.
func (s *fetchSession) Limit(bytes int) { s.bytes = bytes }

// Silence implements Puller.
func (s *fetchSession) Silence() time.Duration { return s.to.FetchWait }

// TimelineHistory needs a role that may read the file.
func (s *fetchSession) TimelineHistory(ctx context.Context) (string, error) {
	s.using.Lock()
	defer s.using.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.question)
	defer cancel()
	name := fmt.Sprintf("pg_wal/%08X.history", s.server.Timeline)
	row, err := libpq.QueryRow(ctx, s.conn, "SELECT pg_catalog.pg_read_file("+libpq.QuoteLiteral(name)+")")
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return "", fault.Refused("the server is on timeline %d, and the role may not read %s, which says whether the checkpoint lies "+
			"before that began. If it does, set the checkpoint's timeline to %[1]d", s.server.Timeline, name)
	}
	if err != nil {
		return "", err
	}
	return strings.Join(row, ""), nil
}

// startWait is how long Start waits for the first answer. What is refused is so at
// once; decoding what there is may take long.
const startWait = time.Second

// Start implements Session.
func (s *fetchSession) Start(ctx context.Context, from wal.LSN) error {
	s.from = from
	s.started = make(chan error, 1)
	go func() {
		s.using.Lock()
		defer s.using.Unlock()
		s.call(0)
		s.ahead = s.rows.NextRow()
		var err error
		if !s.ahead {
			err = s.ended()
		}
		s.started <- err
	}()
	timer := time.NewTimer(startWait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-s.started:
		s.started = nil
		return err
	case <-timer.C:
		return nil
	}
}

// call asks for what follows.
func (s *fetchSession) call(wait time.Duration) {
	confirmed := wal.LSN(s.flushed.Load())
	sql, values := fetchQuery("SELECT lsn, data FROM", s.to, confirmed, s.from, s.bytes, wait)
	s.rows = s.conn.ExecParams(s.run, sql, values, nil, nil, []int16{1} /* binary */)
	s.confirmed = max(s.confirmed, confirmed)
}

// fetchQuery makes a statement that calls cdc.fetch(). LSNs that are 0 are NULL.
func fetchQuery(what string, to *Endpoint, confirmed, from wal.LSN, bytes int, wait time.Duration) (string, [][]byte) {
	position := func(l wal.LSN) []byte {
		if l == 0 {
			return nil
		}
		return []byte(l.String())
	}
	var names []string
	for name := range to.Options {
		names = append(names, name)
	}
	sort.Strings(names)
	values := [][]byte{[]byte(to.Slot), position(confirmed), position(max(from, confirmed)),
		[]byte(strconv.Itoa(bytes)), fmt.Appendf(nil, "%d ms", wait.Milliseconds())}
	var options []string
	for _, name := range names {
		options = append(options, fmt.Sprintf("$%d::text, $%d::text", len(values)+1, len(values)+2))
		values = append(values, []byte(name), []byte(to.Options[name]))
	}
	return what + " cdc.fetch($1::name, $2::pg_lsn, $3::pg_lsn, $4::bigint, $5::interval, ARRAY[" + strings.Join(options, ", ") + "]::text[])", values
}

// ended tells why there are no more rows, when there should be some.
func (s *fetchSession) ended() error {
	_, err := s.rows.Close()
	s.rows = nil
	err = libpq.Explained(err)
	if err == nil {
		err = fmt.Errorf("cdc: the answer of cdc.fetch() is cut: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// Receive implements Session.
func (s *fetchSession) Receive() (ServerMessage, error) {
	if s.started != nil {
		err := <-s.started
		s.started = nil
		if err != nil {
			return ServerMessage{}, err
		}
	}
	s.using.Lock()
	defer s.using.Unlock()
	if s.rows == nil {
		if err := s.run.Err(); err != nil {
			return ServerMessage{}, err
		}
		s.call(s.to.FetchWait)
	}
	if !s.ahead && !s.rows.NextRow() {
		return ServerMessage{}, s.ended()
	}
	s.ahead = false
	row := s.rows.Values()
	if len(row) != 2 || len(row[0]) != 8 {
		return ServerMessage{}, fault.Damaged("row of cdc.fetch()")
	}
	m := ServerMessage{WALEnd: wal.LSN(binary.BigEndian.Uint64(row[0])), Frame: row[1]}
	if m.Frame != nil {
		return m, nil
	}
	// The last one. What comes next begins there.
	_, err := s.rows.Close()
	s.rows = nil
	s.from = max(s.from, m.WALEnd)
	return m, err
}

// SendStatus is heard by the server with the next call.
func (s *fetchSession) SendStatus(status Status) error {
	for {
		known := s.flushed.Load()
		if uint64(status.Flushed) <= known || s.flushed.CompareAndSwap(known, uint64(status.Flushed)) {
			return nil
		}
	}
}

// leave is how long the server is given to end a call, and to confirm what is left.
const leave = 3 * time.Second

// Close cancels what is at work, and confirms what has not been confirmed.
func (s *fetchSession) Close() {
	s.closed.Do(func() {
		s.cancel()
		s.using.Lock()
		defer s.using.Unlock()
		if s.rows != nil {
			_, _ = s.rows.Close()
		}
		ctx, cancel := context.WithTimeout(context.Background(), leave)
		defer cancel()
		if flushed := wal.LSN(s.flushed.Load()); flushed > s.confirmed && !s.conn.IsClosed() {
			// Its rows come again. Confirming is done first, should this take too long.
			sql, values := fetchQuery("SELECT count(*) FROM", s.to, flushed, 0, 1, 0)
			_, _ = s.conn.ExecParams(ctx, sql, values, nil, nil, nil).Close()
		}
		_ = s.conn.Close(ctx)
	})
}
