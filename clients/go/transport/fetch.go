package transport

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// fetchConnector opens ordinary connections, for cdc.fetch().
type fetchConnector struct{ to Endpoint }

// Connect implements Connector.
func (c *fetchConnector) Connect(ctx context.Context) (Session, error) {
	question := time.Duration(0)
	conn, err := c.to.Dialer.Connect(ctx, c.to.Conn, func(config *pgconn.Config) {
		question = libpq.QuestionTimeout(config)
		c.prepare(config)
	})
	if err != nil {
		return nil, err
	}
	server, err := ask(ctx, conn, c.to.Slot, question, inspectBySQL)
	if err != nil {
		return nil, err
	}
	return newFetchSession(conn, server, &c.to, question), nil
}

func (c *fetchConnector) prepare(config *pgconn.Config) {
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxBody(c.to.MaxBatch))
		return f
	}
	// A call that waits is cancelled, and the connection can be used once more.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &canceller{conn: conn}
	}
}

// canceller cancels a statement when a context ends, and sees that through: poolers
// take it ill when the request's own connection is closed before they have answered.
type canceller struct {
	conn *pgconn.PgConn
	done chan struct{}
}

// HandleCancel implements ctxwatch.Handler.
func (c *canceller) HandleCancel(context.Context) {
	c.done = make(chan struct{})
	_ = c.conn.Conn().SetDeadline(time.Now().Add(leave))
	go func() {
		defer close(c.done)
		ctx, cancel := context.WithTimeout(context.Background(), leave)
		defer cancel()
		_ = c.conn.CancelRequest(ctx)
	}()
}

// HandleUnwatchAfterCancel implements ctxwatch.Handler.
func (c *canceller) HandleUnwatchAfterCancel() {
	<-c.done
	_ = c.conn.Conn().SetDeadline(time.Time{})
}

// inspectBySQL is inspect for roles without REPLICATION.
func inspectBySQL(ctx context.Context, conn *pgconn.PgConn, slot string) (*Server, error) {
	row, err := libpq.QueryRow(ctx, conn, `SELECT
			(SELECT system_identifier FROM pg_catalog.pg_control_system()),
			CASE WHEN pg_catalog.pg_is_in_recovery() THEN greatest(c.timeline_id, r.min_recovery_end_timeline)::text
				ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8) END,
			CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
				ELSE pg_catalog.pg_current_wal_flush_lsn() END,
			pg_catalog.current_database(), coalesce(s.plugin, ''), coalesce(s.database, ''), coalesce(s.confirmed_flush_lsn, '0/0'),
			pg_catalog.pg_is_in_recovery(),
			coalesce(s.restart_lsn, '0/0'), (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout')
		FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r
		LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = `+libpq.QuoteLiteral(slot))
	if err != nil {
		return nil, err
	}
	if len(row) != 10 {
		return nil, fmt.Errorf("cdc: the server said %d things about itself", len(row))
	}
	s := &Server{Database: row[3], Plugin: row[4], SlotDatabase: row[5]}
	identifier, err := strconv.ParseInt(row[0], 10, 64)
	if err != nil {
		return nil, err
	}
	s.SystemIdentifier = uint64(identifier)
	base := 16 // of a file's name
	if row[7] == "t" {
		base = 10
	}
	timeline, err := strconv.ParseUint(row[1], base, 32)
	if err != nil {
		return nil, err
	}
	s.Timeline = uint32(timeline)
	if s.WALEnd, err = wal.ParseLSN(row[2]); err != nil {
		return nil, err
	}
	if s.SenderTimeoutMS, err = strconv.ParseInt(row[9], 10, 64); err != nil {
		return nil, err
	}
	if s.ConfirmedFlush, err = wal.ParseLSN(row[6]); err != nil {
		return nil, err
	}
	s.Restart, err = wal.ParseLSN(row[8])
	return s, err
}
