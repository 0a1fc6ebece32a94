package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/metrics"
	"github.com/pgcdc/cdc/clients/go/schema"
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
