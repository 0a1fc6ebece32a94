// Package libpq makes connections from what libpq takes: connection strings, PG* variables,
// service files; with hosts, TLS and sockets as its words say.
package libpq

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Dialer makes connections of one kind: for a stream, a load, a store. Where connections
// are not safe it says so, once.
type Dialer struct {
	Logger *slog.Logger
	said   sync.Map // what was said already
}

// defaultConnectTimeout is for each host, where the connection string has none;
// and minQuestion is the least that each question before a stream begins may take.
const (
	defaultConnectTimeout = 30 * time.Second
	minQuestion           = 5 * time.Second
)

// QuestionTimeout is how long the server may take to answer what is asked before a
// stream begins.
func QuestionTimeout(config *pgconn.Config) time.Duration {
	if config.ConnectTimeout == 0 {
		return time.Hour // no limit was asked for
	}
	return max(config.ConnectTimeout, minQuestion)
}

func (d *Dialer) warn(text string, args ...any) {
	if d == nil || d.Logger == nil {
		return
	}
	if _, again := d.said.LoadOrStore(text, true); !again {
		d.Logger.Warn(text, args...)
	}
}

// Connect makes an ordinary connection, or with change another one.
func (d *Dialer) Connect(ctx context.Context, conninfo string, change func(*pgconn.Config)) (*pgconn.PgConn, error) {
	config, err := d.Parse(conninfo)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(config)
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, Explained(err)
	}
	if remote := conn.Conn().RemoteAddr(); remote.Network() == "tcp" && !verifies(config.TLSConfig) {
		d.warn("the connection is not secured by TLS with a verified certificate: sslmode=verify-full and sslrootcert do so", "host", remote.String())
	}
	return conn, nil
}

// Replication opens a connection in replication mode, which also takes
// ordinary queries, as the simple protocol has them.
func (d *Dialer) Replication(ctx context.Context, conninfo string) (*pgconn.PgConn, time.Duration, error) {
	question := time.Duration(0)
	conn, err := d.Connect(ctx, conninfo, func(c *pgconn.Config) {
		c.RuntimeParams["replication"] = "database"
		question = QuestionTimeout(c)
	})
	return conn, question, err
}

// LogNotice logs what the server says beside its answers.
func LogNotice(logger *slog.Logger, n *pgconn.Notice) {
	level := slog.LevelInfo
	if n.Severity == "WARNING" || n.SeverityUnlocalized == "WARNING" {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{slog.String("severity", n.Severity), slog.String("notice", n.Message), slog.String("sqlstate", n.Code)}
	if n.Detail != "" {
		attrs = append(attrs, slog.String("detail", n.Detail))
	}
	if n.Hint != "" {
		attrs = append(attrs, slog.String("hint", n.Hint))
	}
	logger.LogAttrs(context.Background(), level, "the server says", attrs...)
}
