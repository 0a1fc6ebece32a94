package replica

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// PostgresState is a State in tables of a PostgreSQL database. What an Applier does to it
// between two commits is one transaction there, with the position: no crash repeats or
// loses a change. It is not safe for concurrent use.
//
//	state := &cdc.PostgresState{Conn: conn, Name: "orders", CreateTables: true}
//	applier := cdc.NewApplier(state)
//
// Rows are bytes there; Applier.Rows reads them.
type PostgresState struct {
	// Conn is a connection string or URL; it is connected to when needed.
	Conn string
	// Name of the state: several can share a database.
	Name string
	// CreateTables makes the tables cdc_state, cdc_state_schema and cdc_state_row if they
	// do not exist.
	CreateTables bool

	conn    *pgconn.PgConn
	ready   bool
	inside  bool // of a transaction
	pending map[stateKey]stateRow
	bytes   int
}

type stateKey struct {
	relation string
	digest   [sha256.Size]byte
}

// errLostState: the transaction is gone with its connection.
var errLostState = errors.New("cdc: the connection of the state is lost; its last commit is what there is")

type stateRow struct{ key, row []byte } // row nil: deleted

// How much is kept before it is sent.
const (
	maxPendingRows  = 1000
	maxPendingBytes = 1 << 20
)

var createState = []string{
	`CREATE TABLE IF NOT EXISTS cdc_state (name text PRIMARY KEY, position text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now())`,
	`CREATE TABLE IF NOT EXISTS cdc_state_schema (name text, relation text, descriptor bytea NOT NULL, PRIMARY KEY (name, relation))`,
	// a key can be longer than an index takes
	`CREATE TABLE IF NOT EXISTS cdc_state_row (name text, relation text, digest bytea, key bytea NOT NULL, value bytea NOT NULL,
		PRIMARY KEY (name, relation, digest))`,
}

// begin sees to it that there is a transaction.
func (s *PostgresState) begin(ctx context.Context) error {
	if s.conn != nil && s.conn.IsClosed() {
		s.conn, s.inside, s.pending, s.bytes = nil, false, nil, 0
		return errLostState
	}
	if s.conn == nil {
		conn, err := new(libpq.Dialer).Connect(ctx, s.Conn, nil)
		if err != nil {
			return err
		}
		s.conn = conn
	}
	if s.CreateTables && !s.ready {
		for _, sql := range createState {
			if _, err := s.exec(ctx, sql); err != nil {
				return err
			}
		}
	}
	s.ready = true
	if s.inside {
		return nil
	}
	_, err := s.exec(ctx, "BEGIN")
	s.inside = err == nil
	return err
}

func (s *PostgresState) exec(ctx context.Context, sql string, args ...[]byte) ([][][]byte, error) {
	formats := make([]int16, len(args)) // what is no text is bytea
	for i, arg := range args {
		if arg != nil && i >= 2 {
			formats[i] = 1
		}
	}
	result := s.conn.ExecParams(ctx, sql, args, nil, formats, []int16{1}).Read()
	return result.Rows, libpq.Explained(result.Err)
}

// one gives the first value of the first row.
func (s *PostgresState) one(ctx context.Context, sql string, args ...[]byte) ([]byte, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	rows, err := s.exec(ctx, sql, args...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0][0], nil
}

// run is for statements without rows, in their place among what is pending.
func (s *PostgresState) run(ctx context.Context, sql string, args ...[]byte) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	_, err := s.one(ctx, sql, args...)
	return err
}

func (s *PostgresState) id(relation string) ([]byte, []byte) { return []byte(s.Name), []byte(relation) }

// Get implements State.
func (s *PostgresState) Get(ctx context.Context, relation string, key []byte) (tuple.Row, error) {
	digest := sha256.Sum256(key)
	if p, ok := s.pending[stateKey{relation, digest}]; ok {
		return p.row, nil
	}
	name, rel := s.id(relation)
	return s.one(ctx, "SELECT value FROM cdc_state_row WHERE name = $1::text AND relation = $2::text AND digest = $3::bytea", name, rel, digest[:])
}

// Put implements State.
func (s *PostgresState) Put(ctx context.Context, relation string, key []byte, row tuple.Row) error {
	return s.keep(ctx, relation, key, append([]byte{}, row...))
}

// Delete implements State.
func (s *PostgresState) Delete(ctx context.Context, relation string, key []byte) error {
	return s.keep(ctx, relation, key, nil)
}

func (s *PostgresState) keep(ctx context.Context, relation string, key, row []byte) error {
	if s.pending == nil {
		s.pending = map[stateKey]stateRow{}
	}
	s.pending[stateKey{relation, sha256.Sum256(key)}] = stateRow{bytes.Clone(key), row}
	s.bytes += len(key) + len(row)
	if len(s.pending) < maxPendingRows && s.bytes < maxPendingBytes {
		return nil
	}
	return s.flush(ctx)
}

// flush sends what is pending, all at once.
func (s *PostgresState) flush(ctx context.Context) error {
	if err := s.begin(ctx); err != nil || len(s.pending) == 0 {
		return err
	}
	batch := &pgconn.Batch{}
	for k, p := range s.pending {
		name, rel := s.id(k.relation)
		if p.row == nil {
			batch.ExecParams("DELETE FROM cdc_state_row WHERE name = $1::text AND relation = $2::text AND digest = $3::bytea",
				[][]byte{name, rel, k.digest[:]}, nil, []int16{0, 0, 1}, nil)
			continue
		}
		batch.ExecParams(`INSERT INTO cdc_state_row AS r VALUES ($1::text, $2::text, $3::bytea, $4::bytea, $5::bytea)
			ON CONFLICT (name, relation, digest) DO UPDATE SET value = excluded.value`,
			[][]byte{name, rel, k.digest[:], p.key, p.row}, nil, []int16{0, 0, 1, 1, 1}, nil)
	}
	_, err := s.conn.ExecBatch(ctx, batch).ReadAll()
	s.pending, s.bytes = nil, 0
	return libpq.Explained(err)
}

// Truncate implements State.
func (s *PostgresState) Truncate(ctx context.Context, relation string) error {
	name, rel := s.id(relation)
	return s.run(ctx, "DELETE FROM cdc_state_row WHERE name = $1::text AND relation = $2::text", name, rel)
}

// Scan implements State.
func (s *PostgresState) Scan(ctx context.Context, relation string, f func(key []byte, row tuple.Row) error) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	name, rel := s.id(relation)
	rows := s.conn.ExecParams(ctx, "SELECT key, value FROM cdc_state_row WHERE name = $1::text AND relation = $2::text",
		[][]byte{name, rel}, nil, nil, []int16{1})
	var err error
	for rows.NextRow() && err == nil {
		err = f(rows.Values()[0], rows.Values()[1])
	}
	if _, endErr := rows.Close(); err == nil {
		err = libpq.Explained(endErr)
	}
	return err
}

// Schema implements State.
func (s *PostgresState) Schema(ctx context.Context, relation string) ([]byte, error) {
	name, rel := s.id(relation)
	return s.one(ctx, "SELECT descriptor FROM cdc_state_schema WHERE name = $1::text AND relation = $2::text", name, rel)
}

// SetSchema implements State.
func (s *PostgresState) SetSchema(ctx context.Context, relation string, table []byte) error {
	name, rel := s.id(relation)
	if len(table) == 0 {
		return s.run(ctx, "DELETE FROM cdc_state_schema WHERE name = $1::text AND relation = $2::text", name, rel)
	}
	return s.run(ctx, `INSERT INTO cdc_state_schema VALUES ($1::text, $2::text, $3::bytea)
		ON CONFLICT (name, relation) DO UPDATE SET descriptor = excluded.descriptor`, name, rel, table)
}

// Rename implements Renamer.
func (s *PostgresState) Rename(ctx context.Context, from, to string) error {
	name, rel := s.id(from)
	if err := s.run(ctx, "UPDATE cdc_state_row SET relation = convert_from($3, 'UTF8') WHERE name = $1::text AND relation = $2::text", name, rel, []byte(to)); err != nil {
		return err
	}
	return s.run(ctx, "UPDATE cdc_state_schema SET relation = convert_from($3, 'UTF8') WHERE name = $1::text AND relation = $2::text", name, rel, []byte(to))
}

// Applied implements State.
func (s *PostgresState) Applied(ctx context.Context) (wal.Position, error) {
	text, err := s.one(ctx, "SELECT position FROM cdc_state WHERE name = $1::text", []byte(s.Name))
	if err != nil || text == nil {
		return wal.Position{}, err
	}
	return wal.ParsePosition(string(text))
}

// Commit implements State.
func (s *PostgresState) Commit(ctx context.Context, p wal.Position) error {
	if err := s.run(ctx, `INSERT INTO cdc_state VALUES ($1::text, $2::text)
		ON CONFLICT (name) DO UPDATE SET position = excluded.position, updated_at = now()`, []byte(s.Name), []byte(p.String())); err != nil {
		return err
	}
	_, err := s.exec(ctx, "COMMIT")
	s.inside = false
	return err
}

// Rollback takes the state back to its last commit, as is to be done after an error of
// Apply. A new Applier goes on from there.
func (s *PostgresState) Rollback(ctx context.Context) error {
	s.pending, s.bytes = nil, 0
	if s.conn == nil || s.conn.IsClosed() {
		s.conn, s.inside = nil, false
		return nil
	}
	if !s.inside {
		return nil
	}
	s.inside = false
	_, err := s.exec(ctx, "ROLLBACK")
	return err
}

// Close gives up what is not committed, and closes the connection.
func (s *PostgresState) Close(ctx context.Context) error {
	s.pending, s.bytes, s.inside = nil, 0, false
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close(ctx)
	s.conn = nil
	return err
}
