package cdc

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// connector opens replication connections to PostgreSQL.
type connector struct{ config Config }

// replication opens a connection in replication mode, which also takes
// ordinary queries, as the simple protocol has them.
func (d *dialer) replication(ctx context.Context, conninfo string) (*pgconn.PgConn, time.Duration, error) {
	question := time.Duration(0)
	conn, err := d.connect(ctx, conninfo, func(c *pgconn.Config) {
		c.RuntimeParams["replication"] = "database"
		question = questionTimeout(c)
	})
	return conn, question, err
}

// maxBody is the longest message of the server that can hold a batch.
func maxBody(maxBatch int) int { return min(maxBatch, 1<<30-1) + 64 }

// Connect implements Connector.
func (c *connector) Connect(ctx context.Context) (Session, error) {
	conn, question, err := c.config.dialer.replication(ctx, c.config.Conn)
	if err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, question)
	defer cancel()
	server, err := inspect(asking, conn, c.config.Slot)
	if err != nil {
		_ = conn.Close(ctx)
		return nil, unanswered(err, question)
	}
	return &pgSession{conn: conn, server: server, slot: c.config.Slot, options: c.config.Options,
		maxFrame: c.config.Limits.MaxBatchBytes, question: question, logger: c.config.Logger}, nil
}

// inspect asks who the server is and where the slot stands. A slot that does not
// exist has an empty Plugin.
func inspect(ctx context.Context, conn *pgconn.PgConn, slot string) (*Server, error) {
	system, err := queryRow(ctx, conn, "IDENTIFY_SYSTEM")
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
	if s.WALEnd, err = ParseLSN(system[2]); err != nil {
		return nil, err
	}
	row, err := queryRow(ctx, conn, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'")
	if err != nil {
		return nil, err
	}
	if len(row) == 1 {
		if s.SenderTimeoutMS, err = strconv.ParseInt(row[0], 10, 64); err != nil {
			return nil, err
		}
	}
	row, err = queryRow(ctx, conn, "SELECT coalesce(plugin, ''), coalesce(database, ''), coalesce(confirmed_flush_lsn, '0/0'), "+
		"coalesce(restart_lsn, '0/0') FROM pg_catalog.pg_replication_slots WHERE slot_name = "+quoteLiteral(slot))
	if err != nil || len(row) != 4 {
		return s, err
	}
	s.Plugin, s.SlotDatabase = row[0], row[1]
	if s.ConfirmedFlush, err = ParseLSN(row[2]); err != nil {
		return nil, err
	}
	s.Restart, err = ParseLSN(row[3])
	return s, err
}

// queryRow gives the first row of a query, nil if there is none.
func queryRow(ctx context.Context, conn *pgconn.PgConn, sql string) ([]string, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, explained(err)
	}
	if len(results) == 0 || len(results[0].Rows) == 0 {
		return nil, nil
	}
	var row []string
	for _, v := range results[0].Rows[0] {
		row = append(row, string(v))
	}
	return row, nil
}

func quoteLiteral(s string) string {
	s = strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return ` E'` + strings.ReplaceAll(s, `\`, `\\`) + `'`
	}
	return `'` + s + `'`
}

func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// startCommand is START_REPLICATION with options, quoted as its own grammar has
// it: no backslash escapes.
func startCommand(slot string, from LSN, options map[string]string) string {
	command := fmt.Sprintf("START_REPLICATION SLOT %s LOGICAL %v", quoteName(slot), from)
	names := make([]string, 0, len(options))
	for name := range options {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s '%s'", quoteName(name), strings.ReplaceAll(options[name], "'", "''"))
	}
	if len(names) > 0 {
		command += " (" + strings.Join(names, ", ") + ")"
	}
	return command
}
