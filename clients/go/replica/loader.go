package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/metrics"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// Loader reads tables as they are into the state of an Applier, before the stream
// is applied to it. Nothing is missing and nothing doubled where the two meet. The
// slot must exist already; a load that was interrupted goes on where it was.
//
//	loader := &cdc.Loader{Conn: conn, Slot: slot, Tables: []string{"public.orders"}, Progress: cdc.ProgressFile("load")}
//	err := loader.Run(ctx, applier)	// at every start, also when all is loaded
//	... then Stream.Next and Applier.Apply, as ever
//
// A table that is altered meanwhile is read anew, five times at most.
//
// A row that moves from one key to another while tables are read may have to be
// read again; that is done while its UPDATE is applied, by a query of its own.
type Loader struct {
	// Conn is a connection string or URL, with a role that may call cdc.snapshot()
	// and read the tables.
	Conn string
	// Slot whose stream is applied afterwards.
	Slot string
	// Options of the stream, as in Config.
	Options map[string]string
	// Tables, as SQL has them: "public.orders".
	Tables []string
	// RowsPerChunk is how many rows are read by one query. Default 100000.
	RowsPerChunk int
	// Progress is where the load's progress is stored.
	Progress ProgressStore
	// Limits on what is accepted.
	Limits schema.Limits
	// Logger; default: none. Metrics, or nil.
	Logger  *slog.Logger
	Metrics metrics.Metrics

	meter    *loadMeter
	dialer   *libpq.Dialer
	conn     *pgconn.PgConn
	progress *LoadProgress
	schemas  *schema.Cache
	into     *tables // of the Applier
}

// Run reads what has not been read, and prepares the Applier for what comes out of
// the stream. The Loader must stay open until the stream has passed the load.
func (l *Loader) Run(ctx context.Context, a *Applier) (err error) {
	l.schemas = schema.NewCache(l.Limits)
	if l.progress, err = l.Progress.Load(); err != nil {
		return err
	}
	if l.progress == nil {
		if err := l.begin(ctx); err != nil {
			return err
		}
	}
	if l.progress.Slot != l.Slot {
		return fault.Refused("the progress of the load is of the slot %q, not %q", l.progress.Slot, l.Slot)
	}
	l.into = a.tables
	a.joint = &joint{tables: a.tables, progress: l.progress, loader: l}
	l.measure(ctx)
	for i := range l.progress.Tables {
		if err := l.table(ctx, &l.progress.Tables[i]); err != nil {
			return fmt.Errorf("cdc: loading %s: %w", l.progress.Tables[i].Name, err)
		}
	}
	return nil
}

// Close closes the connection.
func (l *Loader) Close(ctx context.Context) error {
	if l.conn == nil {
		return nil
	}
	return l.conn.Close(ctx)
}

// begin sees to it that the slot is older than what will be read.
func (l *Loader) begin(ctx context.Context) error {
	rows, err := l.query(ctx, "SELECT 1 FROM pg_catalog.pg_replication_slots WHERE plugin = 'cdc' AND slot_name = $1", l.Slot)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fault.Refused("there is no slot %q of the plugin cdc; it must be made before a load", l.Slot)
	}
	l.progress = &LoadProgress{Slot: l.Slot}
	for _, name := range l.Tables {
		l.progress.Tables = append(l.progress.Tables, TableProgress{Name: name, Whole: -1})
	}
	return l.Progress.Save(l.progress)
}

// connect makes the connection, or makes it anew.
func (l *Loader) connect(ctx context.Context) (*pgconn.PgConn, error) {
	if l.conn == nil || l.conn.IsClosed() {
		conn, err := l.dial(ctx)
		if err != nil {
			return nil, err
		}
		l.conn = conn
	}
	return l.conn, nil
}

func (l *Loader) dial(ctx context.Context) (*pgconn.PgConn, error) {
	if l.dialer == nil {
		l.dialer = &libpq.Dialer{Logger: l.Logger}
	}
	return l.dialer.Connect(ctx, l.Conn, nil)
}

// query runs a statement and gives its rows; NULL is nil. Values are parameters, never
// part of the text.
func (l *Loader) query(ctx context.Context, sql string, args ...string) ([][][]byte, error) {
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	result := conn.ExecParams(ctx, sql, parameters(args), nil, nil, nil).Read()
	return result.Rows, libpq.Explained(result.Err)
}

func parameters(args []string) (values [][]byte) {
	for _, arg := range args {
		values = append(values, []byte(arg))
	}
	return values
}

// table reads what has not been read of one; from its beginning, if it is altered
// meanwhile.
func (l *Loader) table(ctx context.Context, t *TableProgress) error {
	for {
		done := t.done()
		if !done {
			l.meter.begin(t.Name, l.estimate(ctx, t.Name))
		}
		err := l.chunks(ctx, t)
		if err == nil && !done {
			l.meter.say("loaded")
		}
		if !errors.Is(err, errAltered) {
			return err
		}
		if err := l.restart(t); err != nil {
			return err
		}
	}
}

func (l *Loader) chunks(ctx context.Context, t *TableProgress) error {
	if !t.anyDone() && t.Relation != "" { // of an attempt before
		if err := l.into.forget(ctx, t.Relation); err != nil {
			return err
		}
		if err := l.commit(ctx); err != nil {
			return err
		}
		t.Relation = "" // it may have another name now
	}
	if len(t.Chunks) == 0 {
		if err := l.divide(ctx, t); err != nil {
			return err
		}
	}
	for i := range t.Chunks {
		for attempt := 1; !t.Chunks[i].Done; attempt++ {
			err := l.chunk(ctx, t, &t.Chunks[i])
			if err != nil && !(isRewritten(err) && attempt < maxRestarts) {
				return err
			}
		}
	}
	return nil
}

// isRewritten tells whether a table was truncated or rewritten while a snapshot of it
// was about to be read.
func isRewritten(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55000"
}

// commit makes durable what was read. The position stays.
func (l *Loader) commit(ctx context.Context) error {
	applied, err := l.into.state.Applied(ctx)
	if err != nil {
		return err
	}
	return l.into.state.Commit(ctx, applied)
}

// divide finds the ranges. A table without a key is read in one, since its rows
// cannot remember what they were read under.
func (l *Loader) divide(ctx context.Context, t *TableProgress) error {
	rows, err := l.query(ctx, "SELECT from_key, to_key, array_to_json(key_columns) FROM cdc.snapshot_chunks($1::text::regclass, $2)",
		t.Name, strconv.Itoa(cmp.Or(l.RowsPerChunk, 100_000)))
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row[2] == nil {
			break
		}
		if err := parseNames(row[2], &t.KeyColumns); err != nil {
			return err
		}
		t.Chunks = append(t.Chunks, Chunk{FromKey: text(row[0]), ToKey: text(row[1])})
	}
	if len(t.Chunks) == 0 {
		t.Chunks = []Chunk{{}}
	}
	if rows, err = l.query(ctx, "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "+
		"WHERE c.oid = $1::text::regclass", t.Name); err != nil {
		return err
	}
	for _, row := range rows {
		t.Catalog = (&schema.Table{Schema: string(row[0]), Name: string(row[1])}).String()
	}
	return l.Progress.Save(l.progress)
}

func text(v []byte) *string {
	if v == nil {
		return nil
	}
	s := string(v)
	return &s
}

// chunk reads a range in a transaction of its own.
func (l *Loader) chunk(ctx context.Context, t *TableProgress, c *Chunk) error {
	started := false
	err := l.read(ctx, t, c.FromKey, c.ToKey, func(b *change.Batch, place int) error {
		if !started && len(t.KeyColumns) == 0 && t.Relation != "" {
			if err := l.into.state.Truncate(ctx, t.Relation); err != nil { // of an attempt before
				return err
			}
		}
		started = true
		l.meter.add(b.Len())
		return l.rows(ctx, t, b, place)
	})
	if err != nil {
		return err
	}
	if err := l.commit(ctx); err != nil {
		return err
	}
	c.Done = true
	return l.Progress.Save(l.progress)
}

// rows puts those of a batch into the state.
func (l *Loader) rows(ctx context.Context, t *TableProgress, b *change.Batch, place int) error {
	c := b.Events()
	for c.Next() {
		if err := l.row(ctx, t, c.Event(), place); err != nil {
			return err
		}
	}
	return c.Err()
}

func (l *Loader) row(ctx context.Context, t *TableProgress, e *change.Event, place int) error {
	if err := failureOf(e); err != nil {
		return err
	}
	table := e.Table()
	if table == nil || e.Op != change.OpRead {
		return fault.Damaged("a snapshot with other than rows")
	}
	relation := table.String()
	known, err := l.into.known(ctx, relation)
	if err != nil {
		return err
	}
	if known != nil && known.Fingerprint != table.Fingerprint || t.Relation != "" && t.Relation != relation {
		return errAltered
	}
	if err := l.note(t, table, relation, place); err != nil {
		return err
	}
	if err := l.into.follow(ctx, relation, table); err != nil {
		return err
	}
	row, err := image(e)
	if err != nil {
		return err
	}
	if table.HasKey() && t.Whole < 0 {
		row = tagged(row, place)
	}
	return l.into.put(ctx, relation, table, e.Key, row)
}

// note keeps the name that the stream has for a table, and the snapshot of one
// that is read under a single one.
func (l *Loader) note(t *TableProgress, table *schema.Table, relation string, place int) error {
	whole := len(t.KeyColumns) == 0 || !table.HasKey()
	if whole && len(t.Chunks) > 1 {
		return fmt.Errorf("cdc: %v has no key in the stream, and cannot be read in parts", table)
	}
	if t.Relation == relation && (!whole || t.Whole == place) {
		return nil
	}
	t.Relation = relation
	if whole {
		t.Whole = place
	}
	return l.Progress.Save(l.progress)
}

// read reads a range under a snapshot that is in the progress before use gets any
// row of it.
func (l *Loader) read(ctx context.Context, t *TableProgress, from, to *string, use func(*change.Batch, int) error) (err error) {
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").ReadAll(); err != nil {
		return err
	}
	defer func() {
		if _, endErr := conn.Exec(ctx, "ROLLBACK").ReadAll(); err == nil {
			err = endErr
		}
	}()
	place := -1
	take := func(frame []byte) error {
		b, err := change.ParseFrame(frame, l.schemas)
		if err != nil {
			return err
		}
		if b.Snapshot == nil {
			return fault.Damaged("rows without a snapshot")
		}
		if place < 0 {
			l.progress.Snapshots = append(l.progress.Snapshots, *b.Snapshot)
			place = len(l.progress.Snapshots) - 1
			t.Places = append(t.Places, place)
			if err := l.passed(ctx); err != nil {
				return err
			}
		}
		return use(b, place)
	}
	sql, values := l.snapshot(t.Name, from, to)
	rows := conn.ExecParams(ctx, sql, values, nil, nil, []int16{1} /* binary */)
	for rows.NextRow() && err == nil {
		err = take(rows.Values()[0])
	}
	if _, endErr := rows.Close(); err == nil {
		err = libpq.Explained(endErr)
	}
	return err
}

// snapshot makes the statement that reads a range of a table.
func (l *Loader) snapshot(table string, from, to *string) (sql string, values [][]byte) {
	key := func(s *string) []byte {
		if s == nil {
			return nil
		}
		return []byte(*s)
	}
	values = [][]byte{[]byte(table), key(from), key(to), []byte(l.Slot)}
	var options []string
	for _, name := range slices.Sorted(maps.Keys(l.Options)) {
		if !notForSnapshots[name] {
			options = append(options, fmt.Sprintf("$%d::text, $%d::text", len(values)+1, len(values)+2))
			values = append(values, []byte(name), []byte(l.Options[name]))
		}
	}
	return "SELECT cdc.snapshot($1::text::regclass, from_key => $2::text[], to_key => $3::text[], slot_name => $4::name, options => ARRAY[" +
		strings.Join(options, ", ") + "]::text[])", values
}

// passed notes where the WAL is, now that a snapshot has been taken: what commits
// later, it did not see.
func (l *Loader) passed(ctx context.Context) error {
	conn, err := l.dial(ctx) // the other one is copying
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	row, err := libpq.QueryRow(ctx, conn, "SELECT pg_catalog.pg_current_wal_insert_lsn()")
	if err != nil {
		return err
	}
	lsn, err := wal.ParseLSN(strings.Join(row, ""))
	if err != nil {
		return err
	}
	l.progress.EndLSN = max(l.progress.EndLSN, lsn)
	return l.Progress.Save(l.progress)
}

// notForSnapshots are options that say how a stream is sent.
var notForSnapshots = map[string]bool{"streaming": true, "two_phase": true, "messages": true, "format": true, "origin": true}
