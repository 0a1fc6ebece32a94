// Package transport opens sessions of a stream: by the replication protocol, or by
// cdc.fetch().
package transport

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// Connector opens sessions of a stream. Config.Connector replaces the one that
// connects to PostgreSQL, as package cdctest does.
type Connector interface {
	// Connect opens a session and says what it found; nothing is sent yet.
	Connect(ctx context.Context) (Session, error)
}

// Session is a connection to a slot.
type Session interface {
	// Server says what the session is connected to.
	Server() *Server
	// TimelineHistory gives the history file of the server's timeline.
	TimelineHistory(ctx context.Context) (string, error)
	// Start asks for what follows an LSN.
	Start(ctx context.Context, from wal.LSN) error
	// Receive gives the next message. Its frame is valid until the next call.
	Receive() (ServerMessage, error)
	// SendStatus reports progress. It may be called beside Receive.
	SendStatus(Status) error
	// Close ends the session, and makes Receive return.
	Close()
}

// Server is what a session is connected to.
type Server struct {
	SystemIdentifier uint64
	Timeline         uint32
	// WALEnd is the server's own position in the WAL.
	WALEnd   wal.LSN
	Database string
	// SenderTimeoutMS is wal_sender_timeout in milliseconds, 0 if there is none.
	SenderTimeoutMS int64

	// Of the slot. ConfirmedFlush is up to where the server takes everything for
	// dealt with, and Restart from where on it keeps WAL.
	Plugin, SlotDatabase    string
	ConfirmedFlush, Restart wal.LSN
}

// ServerMessage is a frame, or with a nil Frame a keepalive.
type ServerMessage struct {
	// WALEnd: up to where the server has sent everything (keepalives), or its
	// position (frames).
	WALEnd wal.LSN
	// ReplyRequested: the server wants to hear of us at once.
	ReplyRequested bool
	Frame          []byte
}

// Status is progress reported to the server.
type Status struct {
	// Written is received, Flushed is durable here: never less than before.
	Written, Flushed wal.LSN
	// RequestReply asks the server for a keepalive.
	RequestReply bool
}

// Kind is how a stream comes from the server.
type Kind int

const (
	// Replication is the streaming replication protocol: the server sends
	// what there is at once. The role needs REPLICATION.
	Replication Kind = iota
	// Fetch asks for changes by SQL, with cdc.fetch(). The role needs
	// neither REPLICATION nor SELECT: the slot is bound to it. There is no state of a
	// session, so that it works behind poolers too. Each slot must have one consumer
	// only: the server does not keep two apart, as it does with replication.
	Fetch
)

// Endpoint is what a connector connects to, and how. A stream makes one of its Config.
type Endpoint struct {
	Dialer   *libpq.Dialer
	Conn     string // a connection string
	Slot     string
	Options  map[string]string
	MaxBatch int // bytes
	Logger   *slog.Logger
	// Of cdc.fetch(): how long it waits, and how many bytes it gives.
	FetchWait  time.Duration
	FetchBytes int
}

// NewConnector opens sessions with an endpoint.
func NewConnector(t Kind, to Endpoint) (Connector, error) {
	switch t {
	case Replication:
		return &replicationConnector{to}, nil
	case Fetch:
		return &fetchConnector{to}, nil
	}
	return nil, fmt.Errorf("cdc: Config.Transport is unknown: %v", t)
}

// String gives the name, as command lines have it.
func (t Kind) String() string {
	switch t {
	case Replication:
		return "replication"
	case Fetch:
		return "fetch"
	}
	return fmt.Sprintf("Transport(%d)", int(t))
}

// MaxFetchWait is the server's own limit.
const MaxFetchWait = time.Minute
