package transport

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// replicationConnector opens replication connections to PostgreSQL.
type replicationConnector struct{ to Endpoint }

// maxBody is the longest message of the server that can hold a batch.
func maxBody(maxBatch int) int { return min(maxBatch, 1<<30-1) + 64 }

// Connect implements Connector.
func (c *replicationConnector) Connect(ctx context.Context) (Session, error) {
	conn, question, err := c.to.Dialer.Replication(ctx, c.to.Conn)
	if err != nil {
		return nil, err
	}
	server, err := ask(ctx, conn, c.to.Slot, question, inspect)
	if err != nil {
		return nil, err
	}
	return &pgSession{conn: conn, server: server, slot: c.to.Slot, options: c.to.Options,
		maxFrame: c.to.MaxBatch, question: question, logger: c.to.Logger}, nil
}

// ask has questions answered within a time; without answers the connection is closed.
func ask(ctx context.Context, conn *pgconn.PgConn, slot string, within time.Duration,
	questions func(context.Context, *pgconn.PgConn, string) (*Server, error)) (*Server, error) {
	asking, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	server, err := questions(asking, conn, slot)
	if err != nil {
		_ = conn.Close(ctx)
		return nil, libpq.Unanswered(err, within)
	}
	return server, nil
}

// inspect asks who the server is and where the slot stands. A slot that does not
// exist has an empty Plugin.
func inspect(ctx context.Context, conn *pgconn.PgConn, slot string) (*Server, error) {
	system, err := libpq.QueryRow(ctx, conn, "IDENTIFY_SYSTEM")
	if err != nil {
		return nil, err
	}
	if len(system) < 4 {
		return nil, fmt.Errorf("cdc: IDENTIFY_SYSTEM gave %d columns", len(system))
	}
	s := &Server{Database: system[3]}
	if s.SystemIdentifier, err = strconv.ParseUint(system[0], 10, 64); err != nil {
		return nil, err
	}
	timeline, err := strconv.ParseUint(system[1], 10, 32)
	if err != nil {
		return nil, err
	}
	s.Timeline = uint32(timeline)
	if s.WALEnd, err = wal.ParseLSN(system[2]); err != nil {
		return nil, err
	}
	row, err := libpq.QueryRow(ctx, conn, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'")
	if err != nil {
		return nil, err
	}
	if len(row) == 1 {
		if s.SenderTimeoutMS, err = strconv.ParseInt(row[0], 10, 64); err != nil {
			return nil, err
		}
	}
	row, err = libpq.QueryRow(ctx, conn, "SELECT coalesce(plugin, ''), coalesce(database, ''), coalesce(confirmed_flush_lsn, '0/0'), "+
		"coalesce(restart_lsn, '0/0') FROM pg_catalog.pg_replication_slots WHERE slot_name = "+libpq.QuoteLiteral(slot))
	if err != nil || len(row) != 4 {
		return s, err
	}
	s.Plugin, s.SlotDatabase = row[0], row[1]
	if s.ConfirmedFlush, err = wal.ParseLSN(row[2]); err != nil {
		return nil, err
	}
	s.Restart, err = wal.ParseLSN(row[3])
	return s, err
}

// startCommand is START_REPLICATION with options, quoted as its own grammar has
// it: no backslash escapes.
func startCommand(slot string, from wal.LSN, options map[string]string) string {
	command := fmt.Sprintf("START_REPLICATION SLOT %s LOGICAL %v", libpq.QuoteName(slot), from)
	names := make([]string, 0, len(options))
	for name := range options {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s '%s'", libpq.QuoteName(name), strings.ReplaceAll(options[name], "'", "''"))
	}
	if len(names) > 0 {
		command += " (" + strings.Join(names, ", ") + ")"
	}
	return command
}
