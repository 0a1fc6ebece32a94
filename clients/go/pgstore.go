package cdc

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
)

// PostgresStore keeps checkpoints in a table of a PostgreSQL database, which may be
// any but is best the one that the consumer writes to: see SaveTx.
type PostgresStore struct {
	// Conn is a connection string or URL; it is connected to when needed.
	Conn string
	// Slot whose checkpoint this is.
	Slot string
	// CreateTable makes the table cdc_checkpoint if it does not exist.
	CreateTable bool

	conn *pgconn.PgConn
}

const createCheckpointTable = `CREATE TABLE IF NOT EXISTS cdc_checkpoint (
	slot text PRIMARY KEY,
	system_identifier text NOT NULL,
	timeline int8 NOT NULL,
	database text NOT NULL,
	position text NOT NULL,
	end_lsn pg_lsn NOT NULL,
	updated_at timestamptz NOT NULL DEFAULT now())`

// A checkpoint of the same system never goes back: one that is stored by itself
// may come late.
// Parameters are text, whatever a driver would make of its arguments.
const saveCheckpoint = `INSERT INTO cdc_checkpoint AS c (slot, system_identifier, timeline, database, position, end_lsn)
VALUES ($1::text, $2::text, ($3::text)::int8, $4::text, $5::text, ($6::text)::pg_lsn)
ON CONFLICT (slot) DO UPDATE SET (system_identifier, timeline, database, position, end_lsn, updated_at) =
	(excluded.system_identifier, excluded.timeline, excluded.database, excluded.position, excluded.end_lsn, now())
WHERE c.system_identifier <> excluded.system_identifier OR c.end_lsn <= excluded.end_lsn AND
	(split_part(c.position, '/', 1) || '/' || split_part(c.position, '/', 2))::pg_lsn <=
	(split_part(excluded.position, '/', 1) || '/' || split_part(excluded.position, '/', 2))::pg_lsn`

const loadCheckpoint = `SELECT system_identifier, timeline, database, position, end_lsn FROM cdc_checkpoint WHERE slot = $1::text`

// SaveTx stores a checkpoint in the caller's own transaction, so that the effects
// of a change and its position are committed together: each effect then happens
// exactly once. exec runs a statement in that transaction; with pgx it is
//
//	func(ctx context.Context, sql string, args ...any) error {
//		_, err := tx.Exec(ctx, sql, args...)
//		return err
//	}
//
// The arguments are strings, which the server converts. The table must exist.
func SaveTx(ctx context.Context, c *Checkpoint, exec func(ctx context.Context, sql string, args ...any) error) error {
	args := make([]any, 0, 6)
	for _, v := range checkpointArgs(c) {
		args = append(args, v)
	}
	return exec(ctx, saveCheckpoint, args...)
}

func checkpointArgs(c *Checkpoint) [6]string {
	return [6]string{c.Slot, strconv.FormatUint(c.SystemIdentifier, 10), strconv.FormatUint(uint64(c.Timeline), 10),
		c.Database, c.Position.String(), c.EndLSN.String()}
}

// Load implements CheckpointStore.
func (s *PostgresStore) Load(ctx context.Context) (*Checkpoint, error) {
	if s.CreateTable {
		if _, err := s.exec(ctx, createCheckpointTable); err != nil {
			return nil, err
		}
	}
	rows, err := s.exec(ctx, loadCheckpoint, s.Slot)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	row := rows[0]
	c := &Checkpoint{Slot: s.Slot, Database: string(row[2])}
	if c.SystemIdentifier, err = strconv.ParseUint(string(row[0]), 10, 64); err != nil {
		return nil, err
	}
	timeline, err := strconv.ParseUint(string(row[1]), 10, 32)
	if err != nil {
		return nil, err
	}
	c.Timeline = uint32(timeline)
	if c.Position, err = ParsePosition(string(row[3])); err != nil {
		return nil, err
	}
	c.EndLSN, err = ParseLSN(string(row[4]))
	return c, err
}

// Save implements CheckpointStore.
func (s *PostgresStore) Save(ctx context.Context, c *Checkpoint) error {
	args := checkpointArgs(c)
	_, err := s.exec(ctx, saveCheckpoint, args[:]...)
	return err
}

// exec runs a statement; a connection that fails is made anew the next time.
func (s *PostgresStore) exec(ctx context.Context, sql string, args ...string) ([][][]byte, error) {
	if s.conn == nil || s.conn.IsClosed() {
		conn, err := new(libpq.Dialer).Connect(ctx, s.Conn, nil)
		if err != nil {
			return nil, err
		}
		s.conn = conn
	}
	values := make([][]byte, len(args))
	for i, arg := range args {
		values[i] = []byte(arg)
	}
	result := s.conn.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	return result.Rows, libpq.Explained(result.Err)
}

// Close closes the connection.
func (s *PostgresStore) Close(ctx context.Context) error {
	if s.conn == nil {
		return nil
	}
	return s.conn.Close(ctx)
}
