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
// A table that is altered while it is read is read anew, in one transaction, which keeps it
// from being altered again; one that is renamed is read under its new name, and one that is
// dropped is not. What the stream says later of commands, the Applier follows, and has the
// Loader read what is not in the stream.
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
// the stream. The Loader must stay open as long as the Applier is used.
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
	a.loader, a.joint = l, &joint{tables: a.tables, progress: l.progress, loader: l}
	l.measure(ctx)
	for range 2 { // a table may have got the name of one that was read
		for i := 0; i < len(l.progress.Tables); i++ {
			if err := l.table(ctx, &l.progress.Tables[i]); err != nil {
				return fmt.Errorf("cdc: loading %s: %w", l.progress.Tables[i].Name, err)
			}
		}
	}
	return nil
}

// revive makes a joint for what is to be read now that the stream has passed the load.
func (l *Loader) revive() *joint {
	l.progress.Tables, l.progress.Snapshots = nil, nil
	return &joint{tables: l.into, progress: l.progress, loader: l}
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
		t := TableProgress{Name: name, Whole: -1}
		if err := l.find(ctx, &t, "$1::text::pg_catalog.regclass"); err != nil {
			return err
		}
		l.progress.Tables = append(l.progress.Tables, t)
	}
	return l.Progress.Save(l.progress)
}

// find finds the table that has the name now, by an expression over it.
func (l *Loader) find(ctx context.Context, t *TableProgress, expression string) error {
	rows, err := l.query(ctx, "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "+
		"WHERE c.oid = "+expression, t.Name)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errGone
	}
	oid, err := strconv.ParseUint(string(rows[0][0]), 10, 32)
	t.OID, t.Relation = uint32(oid), schema.QualifiedName(string(rows[0][1]), string(rows[0][2]))
	return err
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

// errAltered: a table does not have the schema any more that it was read under.
var errAltered = errors.New("the table was altered")

// errGone: there is no table of the name.
var errGone = errors.New("the table is gone")

// maxRestarts is how often the load of a table begins anew, and maxAttempts how often a
// chunk is tried.
const (
	maxRestarts = 100
	maxAttempts = 5
)

// isGone tells whether a table has been dropped since it was found, or is not sent any more.
func isGone(err error) bool {
	return errors.Is(err, errGone) || hasState(err, "42P01" /* undefined_table */)
}

// isUnsent tells whether a table is there, but not in the stream.
func isUnsent(err error) bool {
	return hasState(err, "42809" /* wrong_object_type */) || hasState(err, "22023" /* invalid_parameter_value: not selected */)
}

func hasState(err error, state string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == state
}

// table reads what has not been read of one; from its beginning, if it is altered
// meanwhile. One that is gone stays to be read.
func (l *Loader) table(ctx context.Context, t *TableProgress) error {
	if t.done() {
		return nil
	}
	for restarts := 0; ; restarts++ {
		begun := t.Followed || t.anyDone() || t.Restarts > 0
		err := l.chunks(ctx, t)
		switch {
		case isGone(err), isUnsent(err) && begun:
			return l.gone(t)
		case !errors.Is(err, errAltered):
			return err
		case restarts >= maxRestarts:
			return fmt.Errorf("altered %d times before it could be read: %w", restarts+1, ErrLoadAgain)
		}
		t.clear()
		t.Restarts++
		if err := l.Progress.Save(l.progress); err != nil {
			return err
		}
	}
}

// gone notes that nothing is there to be read, until the stream says what has become of it.
func (l *Loader) gone(t *TableProgress) error {
	if t.Relation == "" {
		l.progress.remove("")
	} else {
		t.clear()
		t.OID, t.Followed, t.Name = 0, true, t.Relation
	}
	return l.Progress.Save(l.progress)
}

func (l *Loader) chunks(ctx context.Context, t *TableProgress) error {
	if t.OID == 0 {
		if err := l.find(ctx, t, "pg_catalog.to_regclass($1::text)"); err != nil {
			return err
		}
	}
	if !t.anyDone() && t.Relation != "" { // of an attempt before, or of another table
		if err := l.into.forget(ctx, t.Relation); err != nil {
			return err
		}
		if err := l.commit(ctx); err != nil {
			return err
		}
	}
	l.meter.begin(t.Name, l.estimate(ctx, t))
	if len(t.Chunks) == 0 {
		if err := l.divide(ctx, t); err != nil {
			return err
		}
	}
	for i := range t.Chunks {
		for attempt := 1; !t.Chunks[i].Done; attempt++ {
			err := l.chunk(ctx, t, &t.Chunks[i])
			if isRewritten(err) && attempt == maxAttempts {
				err = errAltered
			}
			if isUnsent(err) {
				err = l.why(ctx, t, err)
			}
			if err != nil && !isRewritten(err) {
				return err
			}
		}
	}
	l.meter.say("loaded")
	return nil
}

// why is errAltered where a table cannot be read since it has just been altered.
func (l *Loader) why(ctx context.Context, t *TableProgress, err error) error {
	conn, wrong := l.connect(ctx)
	if wrong != nil {
		return wrong
	}
	now, wrong := l.catalogs(ctx, conn, t)
	if wrong != nil {
		return wrong
	}
	if now != t.Catalogs {
		return errAltered
	}
	return err
}

// isRewritten tells whether a table was truncated or rewritten while a snapshot of it
// was about to be read.
func isRewritten(err error) bool { return hasState(err, "55000") }

// commit makes durable what was read. The position stays.
func (l *Loader) commit(ctx context.Context) error {
	applied, err := l.into.state.Applied(ctx)
	if err != nil {
		return err
	}
	return l.into.state.Commit(ctx, applied)
}

// divide finds the ranges. A table without a key is read in one, since its rows
// cannot remember what they were read under; and one that was altered while it was read.
func (l *Loader) divide(ctx context.Context, t *TableProgress) error {
	if t.Restarts == 0 {
		if err := l.ranges(ctx, t); err != nil {
			return err
		}
	}
	if len(t.Chunks) == 0 {
		t.Chunks = []Chunk{{}}
	}
	return l.Progress.Save(l.progress)
}

// ranges asks for those of a key.
func (l *Loader) ranges(ctx context.Context, t *TableProgress) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	if t.Catalogs, err = l.catalogs(ctx, conn, t); err != nil {
		return err
	}
	rows, err := l.query(ctx, "SELECT from_key, to_key, array_to_json(key_columns) FROM cdc.snapshot_chunks($1::text::oid::pg_catalog.regclass, $2)",
		t.oid(), strconv.Itoa(cmp.Or(l.RowsPerChunk, 100_000)))
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
	return nil
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
	for _, table := range b.Announced() { // of a table without rows, too
		if err := l.meets(ctx, t, table, place); err != nil {
			return err
		}
	}
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
	if err := l.meets(ctx, t, table, place); err != nil {
		return err
	}
	row, err := image(e)
	if err != nil {
		return err
	}
	if table.HasKey() && t.Whole < 0 {
		row = tagged(row, place)
	}
	return l.into.put(ctx, t.Relation, table, e.Key, row)
}

// meets sees to it that what is read has the schema of what was read before.
func (l *Loader) meets(ctx context.Context, t *TableProgress, table *schema.Table, place int) error {
	relation := table.String()
	if t.Relation != relation {
		if err := l.rename(ctx, t, relation); err != nil {
			return err
		}
	}
	known, err := l.into.known(ctx, relation)
	if err != nil {
		return err
	}
	if known != nil && known.Fingerprint != table.Fingerprint {
		return errAltered
	}
	if err := l.note(t, table, place); err != nil {
		return err
	}
	return l.into.follow(ctx, relation, table)
}

// rename takes the name that the stream has for a table now, of which nothing has been read
// yet. One that had the name when it was read has another one since.
func (l *Loader) rename(ctx context.Context, t *TableProgress, relation string) error {
	if t.anyDone() {
		return errAltered
	}
	if other := l.progress.relation(relation); other != nil {
		other.clear()
		other.Relation = "" // known when it is read
	}
	t.Relation = relation
	if err := l.Progress.Save(l.progress); err != nil {
		return err
	}
	return l.into.forget(ctx, relation)
}

// note keeps the snapshot of a table that is read under a single one.
func (l *Loader) note(t *TableProgress, table *schema.Table, place int) error {
	whole := len(t.KeyColumns) == 0 || !table.HasKey()
	if whole && len(t.Chunks) > 1 {
		return fmt.Errorf("cdc: %v has no key in the stream, and cannot be read in parts", table)
	}
	if !whole || t.Whole == place {
		return nil
	}
	t.Whole = place
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
	catalogs, err := l.catalogs(ctx, conn, t)
	if err != nil {
		return err
	}
	if !t.anyDone() && len(t.KeyColumns) == 0 {
		t.Catalogs = catalogs // all is read now
	}
	if t.Catalogs != catalogs {
		return errAltered
	}
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
			if err := l.passed(ctx, t, catalogs); err != nil {
				return err
			}
		}
		return use(b, place)
	}
	sql, values := l.snapshot(t.oid(), from, to)
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
	return "SELECT cdc.snapshot($1::text::oid::pg_catalog.regclass, from_key => $2::text[], to_key => $3::text[], slot_name => $4::name, options => ARRAY[" +
		strings.Join(options, ", ") + "]::text[])", values
}

// passed notes where the WAL is, now that a snapshot has been taken: what commits
// later, it did not see. The table is locked now: that it was not altered between the two is
// what its catalogs say, those that the snapshot sees and those of now.
func (l *Loader) passed(ctx context.Context, t *TableProgress, catalogs string) error {
	conn, err := l.dial(ctx) // the other one is copying
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	now, err := l.catalogs(ctx, conn, t)
	if err != nil {
		return err
	}
	row, err := libpq.QueryRow(ctx, conn, "SELECT pg_catalog.pg_current_wal_insert_lsn()")
	if err != nil {
		return err
	}
	lsn, err := wal.ParseLSN(strings.Join(row, ""))
	if err != nil {
		return err
	}
	l.progress.EndLSN = max(l.progress.EndLSN, lsn)
	if now != catalogs {
		return errAltered
	}
	return l.Progress.Save(l.progress)
}

// catalogs gives what tells one state of a table's names and columns from another: rows of
// columns are new ones whenever one is altered.
func (l *Loader) catalogs(ctx context.Context, conn *pgconn.PgConn, t *TableProgress) (string, error) {
	const sql = `SELECT coalesce(pg_catalog.hashtextextended(pg_catalog.string_agg(x, ' ' ORDER BY x), 0), 0) FROM (
		SELECT n.nspname || '.' || c.relname || c.relreplident::text FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::text::oid
		UNION ALL SELECT attnum || ':' || xmin::text FROM pg_catalog.pg_attribute WHERE attrelid = $1::text::oid AND attnum > 0
		UNION ALL SELECT indexrelid || ',' || indisprimary || indisreplident FROM pg_catalog.pg_index
			WHERE indrelid = $1::text::oid AND (indisprimary OR indisreplident)) all_of(x)`
	result := conn.ExecParams(ctx, sql, parameters([]string{t.oid()}), nil, nil, nil).Read()
	if result.Err != nil {
		return "", libpq.Explained(result.Err)
	}
	return string(result.Rows[0][0]), nil
}

// notForSnapshots are options that say how a stream is sent.
var notForSnapshots = map[string]bool{"streaming": true, "two_phase": true, "messages": true, "format": true, "origin": true}
