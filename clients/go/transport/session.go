package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/internal/pgtext"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// pgSession is a replication connection. Once it is started, its socket is ours:
// one goroutine reads and another writes.
type pgSession struct {
	conn     *pgconn.PgConn
	server   *Server
	slot     string
	options  map[string]string
	maxFrame int
	question time.Duration // how long an answer may take
	logger   *slog.Logger

	socket   net.Conn
	frontend *pgproto3.Frontend
	write    sync.Mutex
	status   []byte
	ended    bool
	closed   sync.Once
}

// Server implements Session.
func (s *pgSession) Server() *Server { return s.server }

// TimelineHistory implements Session.
func (s *pgSession) TimelineHistory(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.question)
	defer cancel()
	row, err := libpq.QueryRow(ctx, s.conn, fmt.Sprintf("TIMELINE_HISTORY %d", s.server.Timeline))
	if err != nil {
		return "", libpq.Unanswered(err, s.question)
	}
	if len(row) < 2 {
		return "", errors.New("cdc: TIMELINE_HISTORY gave no history")
	}
	return row[1], nil
}

// Copy data of the replication protocol: a byte that says what it is, and the
// header of a frame (start, end, time) or the whole of a keepalive.
const (
	frameHeader   = 1 + 8 + 8 + 8
	keepaliveSize = 1 + 8 + 8 + 1
)

// Start implements Session.
func (s *pgSession) Start(ctx context.Context, from wal.LSN) error {
	hijacked, err := s.conn.Hijack()
	if err != nil {
		return err
	}
	s.socket, s.frontend = hijacked.Conn, hijacked.Frontend
	s.frontend.SetMaxBodyLen(maxBody(s.maxFrame))
	ctx, cancel := context.WithTimeout(ctx, s.question)
	defer cancel()
	stop := context.AfterFunc(ctx, s.Close)
	defer stop()
	s.frontend.SendQuery(&pgproto3.Query{String: startCommand(s.slot, from, s.options)})
	if err := s.frontend.Flush(); err != nil {
		return err
	}
	for {
		message, err := s.frontend.Receive()
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return libpq.Unanswered(err, s.question)
		}
		switch m := message.(type) {
		case *pgproto3.CopyBothResponse:
			return nil
		case *pgproto3.ErrorResponse:
			return libpq.Explained(pgconn.ErrorResponseToPgError(m))
		case *pgproto3.NoticeResponse:
			s.notice(m)
		}
	}
}

// Receive implements Session.
func (s *pgSession) Receive() (ServerMessage, error) {
	for {
		message, err := s.frontend.Receive()
		if err != nil {
			return ServerMessage{}, err
		}
		switch m := message.(type) {
		case *pgproto3.CopyData:
			return parseCopyData(m.Data)
		case *pgproto3.ErrorResponse:
			return ServerMessage{}, libpq.Explained(pgconn.ErrorResponseToPgError(m))
		case *pgproto3.NoticeResponse:
			s.notice(m)
		case *pgproto3.CommandComplete: // after CopyDone, when the slot is free again
			_ = s.socket.Close()
			return ServerMessage{}, fmt.Errorf("cdc: the server ended the stream: %w", io.EOF)
		}
	}
}

// notice logs what the server says while it streams.
func (s *pgSession) notice(m *pgproto3.NoticeResponse) {
	if s.logger != nil {
		libpq.LogNotice(s.logger, (*pgconn.Notice)(pgconn.ErrorResponseToPgError((*pgproto3.ErrorResponse)(m))))
	}
}

func parseCopyData(data []byte) (ServerMessage, error) {
	switch {
	case len(data) >= frameHeader && data[0] == 'w':
		return ServerMessage{
			WALEnd: wal.LSN(binary.BigEndian.Uint64(data[9:])),
			Frame:  data[frameHeader:],
		}, nil
	case len(data) >= keepaliveSize && data[0] == 'k':
		return ServerMessage{
			WALEnd:         wal.LSN(binary.BigEndian.Uint64(data[1:])),
			ReplyRequested: data[17] != 0,
		}, nil
	}
	return ServerMessage{}, fault.Damaged("message of the replication protocol")
}

// writeTimeout ends a connection whose server does not take even a status.
const writeTimeout = 30 * time.Second

// SendStatus implements Session.
func (s *pgSession) SendStatus(status Status) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.ended {
		return nil // nothing may follow the goodbye
	}
	body := append(s.status[:0], 'r')
	body = binary.BigEndian.AppendUint64(body, uint64(status.Written))
	body = binary.BigEndian.AppendUint64(body, uint64(status.Flushed))
	body = binary.BigEndian.AppendUint64(body, uint64(status.Flushed)) // applied
	body = binary.BigEndian.AppendUint64(body, uint64(time.Now().UnixMicro()-pgtext.EpochUS))
	request := byte(0)
	if status.RequestReply {
		request = 1
	}
	s.status = append(body, request)
	message, err := (&pgproto3.CopyData{Data: s.status}).Encode(nil)
	if err != nil {
		return err
	}
	if err := s.socket.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err = s.socket.Write(message)
	return err
}

// goodbye is how long the server is given to end the session.
const goodbye = time.Second

// Close says that this is the end. The server frees the slot and answers, which
// Receive waits for; if it does not, the socket is closed.
func (s *pgSession) Close() {
	s.closed.Do(func() {
		if s.socket == nil {
			ctx, cancel := context.WithTimeout(context.Background(), goodbye)
			defer cancel()
			_ = s.conn.Close(ctx)
			return
		}
		// Not Terminate, too: the server would exit where it stands.
		bye, _ := (&pgproto3.CopyDone{}).Encode(nil)
		if !s.write.TryLock() { // a server that does not even take a status
			_ = s.socket.Close()
			return
		}
		defer s.write.Unlock()
		s.ended = true
		_ = s.socket.SetWriteDeadline(time.Now().Add(goodbye))
		_, _ = s.socket.Write(bye)
		time.AfterFunc(goodbye, func() { _ = s.socket.Close() })
	})
}
