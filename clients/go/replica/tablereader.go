package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/tuple"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// TableReader reads tables as they are, in ranges of their key, for those who keep no State: a
// Loader for all others. Rows are the events of batches, as cdc.snapshot() gives them. It is for
// one goroutine.
type TableReader struct {
	// Conn, Slot, Options and Limits are those of a Loader.
	Conn, Slot string
	Options    map[string]string
	Limits     schema.Limits
	Logger     *slog.Logger
	// LockTimeout is how long a table's lock is waited for, as the server writes times; default: as
	// long as it takes.
	LockTimeout string

	loader *Loader
}

// TableView is what a reading transaction sees beside rows.
type TableView struct {
	Snapshot wal.Snapshot
	// EndLSN: it saw no transaction that committed after it.
	EndLSN wal.LSN
	// Relation is the table's name, as Table.String gives it; empty: it is gone.
	Relation string
	// Shape tells one state of the table's name, key and replica identity from another.
	Shape string
}

// TableRange is a part of a table: from a key, up to and without another one; nil: no end.
type TableRange struct{ From, To *string }

// FoundTable is one of those that Find gives.
type FoundTable struct {
	OID      uint32
	Relation string
	// Rows that it has, about; 0: not known.
	Rows uint64
	// RowBytes that a row takes in the database, about.
	RowBytes uint64
}

func (r *TableReader) open() *Loader {
	if r.loader == nil {
		r.loader = &Loader{Conn: r.Conn, Slot: r.Slot, Options: r.Options, Limits: r.Limits, Logger: r.Logger}
		r.loader.schemas = schema.NewCache(r.Limits)
	}
	return r.loader
}

// Close closes the connection.
func (r *TableReader) Close(ctx context.Context) error {
	if r.loader == nil {
		return nil
	}
	return r.loader.Close(ctx)
}

const foundColumns = `SELECT c.oid, n.nspname, c.relname, coalesce(s.rows, 0)::int8, (coalesce(s.bytes, 0) / greatest(coalesce(s.rows, 0), 1))::int8
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	CROSS JOIN LATERAL (SELECT sum(greatest(l.reltuples, 0)) AS rows, sum(pg_catalog.pg_table_size(l.oid)) AS bytes
		FROM pg_catalog.pg_class l WHERE l.oid = c.oid AND l.relkind = 'r'
		OR c.relkind = 'p' AND l.relkind = 'r' AND l.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid))) s `

// MissingPrivileges are functions of the extension that the role may not call, but a TableReader does.
func (r *TableReader) MissingPrivileges(ctx context.Context) (functions []string, err error) {
	rows, err := r.open().query(ctx, `SELECT p.oid::pg_catalog.regproc FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname = 'cdc' AND p.proname IN ('snapshot', 'snapshot_chunks') AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1`)
	for _, row := range rows {
		functions = append(functions, string(row[0]))
	}
	return functions, err
}

// Snapshot of now.
func (r *TableReader) Snapshot(ctx context.Context) (*wal.Snapshot, error) {
	rows, err := r.open().query(ctx, "SELECT pg_catalog.pg_current_snapshot()")
	if err != nil {
		return nil, err
	}
	return wal.ParseSnapshot(string(rows[0][0]))
}

// Find gives the table that has a name as SQL has it, nil if there is none.
func (r *TableReader) Find(ctx context.Context, name string) (*FoundTable, error) {
	tables, err := r.find(ctx, foundColumns+"WHERE c.oid = pg_catalog.to_regclass($1::text)", name)
	if err != nil || len(tables) == 0 {
		return nil, err
	}
	return &tables[0], nil
}

// All gives the tables that may be sent, by their names. Whether one is, tells Sent.
func (r *TableReader) All(ctx context.Context) ([]FoundTable, error) {
	return r.find(ctx, foundColumns+`WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
		AND n.nspname NOT IN ('information_schema', 'cdc') AND n.nspname !~ '^pg_' ORDER BY n.nspname, c.relname`)
}

func (r *TableReader) find(ctx context.Context, sql string, args ...string) (found []FoundTable, err error) {
	rows, err := r.open().query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		var n [3]uint64
		for i, column := range [...]int{0, 3, 4} {
			if n[i], err = strconv.ParseUint(string(row[column]), 10, 64); err != nil {
				return nil, err
			}
		}
		found = append(found, FoundTable{uint32(n[0]), schema.QualifiedName(string(row[1]), string(row[2])), n[1], n[2]})
	}
	return found, nil
}

// NotSent tells whether an error of Read means that a table is not sent to this reader: it is gone, not
// selected, or withheld.
func NotSent(err error) bool {
	return errors.Is(err, errGone) || hasState(err, "42P01" /* undefined_table */) || isUnsent(err) ||
		hasState(err, "42501" /* insufficient_privilege */)
}

// TryAgain tells whether an error of Read goes away by itself: the table is locked, or was truncated or rewritten just now.
func TryAgain(err error) bool {
	return isRewritten(err) || hasState(err, "55P03" /* lock_not_available */)
}

// Ranges gives those that together are a table, each with so many rows at the moment, and the
// columns of the key in its order: none where it can only be read as a whole. With from, those behind that
// key; the first one begins there.
func (r *TableReader) Ranges(ctx context.Context, oid uint32, rows int, from *string) (ranges []TableRange, key []string, err error) {
	l := r.open()
	table := strconv.FormatUint(uint64(oid), 10)
	found, err := l.query(ctx, "SELECT from_key, to_key, array_to_json(key_columns) FROM cdc.snapshot_chunks($1::text::oid::pg_catalog.regclass, $2)",
		table, strconv.Itoa(rows))
	if err != nil {
		return nil, nil, err
	}
	for _, row := range found {
		if row[2] == nil {
			return []TableRange{{}}, nil, nil
		}
		ranges = append(ranges, TableRange{text(row[0]), text(row[1])})
	}
	if err := json.Unmarshal(found[0][2], &key); err != nil || from == nil {
		return ranges, key, err
	}
	// The first range that ends behind the key, or with nothing before it.
	low, high := 0, len(ranges)-1
	for low < high {
		middle := (low + high) / 2
		some, err := r.any(ctx, table, ranges[middle].To, from)
		if err != nil {
			return nil, nil, err
		}
		if some {
			low = middle + 1
		} else {
			high = middle
		}
	}
	ranges = ranges[low:]
	ranges[0].From = from
	return ranges, key, nil
}

// any tells whether a range has rows. It reads a few at most.
func (r *TableReader) any(ctx context.Context, table string, from, to *string) (bool, error) {
	if *from == *to {
		return false, nil
	}
	l := r.open()
	sql, values := l.snapshot(table, from, to)
	conn, err := l.connect(ctx)
	if err != nil {
		return false, err
	}
	result := conn.ExecParams(ctx, sql+" LIMIT 1", values, nil, nil, []int16{1}).Read()
	if result.Err != nil {
		return false, libpq.Explained(result.Err)
	}
	for _, row := range result.Rows {
		b, err := change.ParseFrame(row[0], l.schemas)
		if err != nil || b.Len() > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// Sent tells whether a table is sent to this reader.
func (r *TableReader) Sent(ctx context.Context, oid uint32) (bool, error) {
	l := r.open()
	sql, values := l.snapshot(strconv.FormatUint(uint64(oid), 10), nil, nil)
	conn, err := l.connect(ctx)
	if err != nil {
		return false, err
	}
	if err := r.begin(ctx); err != nil {
		return false, err
	}
	err = libpq.Explained(conn.ExecParams(ctx, sql+" LIMIT 1", values, nil, nil, []int16{1}).Read().Err)
	if _, ended := conn.Exec(ctx, "ROLLBACK").ReadAll(); err == nil {
		err = ended
	}
	if NotSent(err) {
		return false, nil
	}
	return err == nil || TryAgain(err), ignore(err)
}

func ignore(err error) error {
	if TryAgain(err) {
		return nil
	}
	return err
}

func (r *TableReader) begin(ctx context.Context) error {
	conn, err := r.open().connect(ctx)
	if err != nil {
		return err
	}
	sql := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	if r.LockTimeout != "" {
		sql += "; SET LOCAL lock_timeout = " + libpq.QuoteLiteral(r.LockTimeout)
	}
	_, err = conn.Exec(ctx, sql).ReadAll()
	return libpq.Explained(err)
}

// Read reads a range in a transaction of its own. look is told first what the transaction sees, and may
// end it by an error. use gets the batches, which are valid until it returns.
func (r *TableReader) Read(ctx context.Context, oid uint32, part TableRange, look func(*TableView) error, use func(*change.Batch) error) (err error) {
	l := r.open()
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer func() {
		if _, ended := l.conn.Exec(ctx, "ROLLBACK").ReadAll(); err == nil {
			err = ended
		}
	}()
	table := strconv.FormatUint(uint64(oid), 10)
	view, err := r.view(ctx, table)
	if err != nil {
		return err
	}
	if err := look(view); err != nil {
		return err
	}
	if view.Relation == "" {
		return errGone
	}
	sql, values := l.snapshot(table, part.From, part.To)
	var said change.Connection
	var b change.Batch
	rows := l.conn.ExecParams(ctx, sql, values, nil, nil, []int16{1} /* binary */)
	for rows.NextRow() && err == nil {
		var raw []byte
		if raw, err = change.Unframe(rows.Values()[0]); err != nil {
			break
		}
		if err = b.Parse(bytes.Clone(raw), l.schemas); err != nil {
			break
		}
		if b.Snapshot == nil {
			err = fault.Damaged("rows without a snapshot")
			break
		}
		said.Take(&b)
		err = use(&b)
	}
	if _, ended := rows.Close(); err == nil {
		err = libpq.Explained(ended)
	}
	return err
}

// view asks what the transaction sees.
func (r *TableReader) view(ctx context.Context, table string) (*TableView, error) {
	const sql = `SELECT pg_catalog.pg_current_snapshot(),
		CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END,
		n.nspname, c.relname, pg_catalog.concat_ws(' ', c.oid, n.nspname, c.relname, c.relreplident, (SELECT pg_catalog.string_agg(
			pg_catalog.concat_ws(',', i.indexrelid, i.indisprimary, i.indisreplident), ' ' ORDER BY i.indexrelid)
			FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident)))
		FROM (VALUES ($1::text::oid)) wanted(oid) LEFT JOIN (pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace) ON c.oid = wanted.oid`
	rows, err := r.open().query(ctx, sql, table)
	if err != nil {
		return nil, err
	}
	snapshot, err := wal.ParseSnapshot(string(rows[0][0]))
	if err != nil {
		return nil, err
	}
	v := &TableView{Snapshot: *snapshot, Shape: string(rows[0][4])}
	if v.EndLSN, err = wal.ParseLSN(string(rows[0][1])); err != nil {
		return nil, err
	}
	if rows[0][2] != nil {
		v.Relation = schema.QualifiedName(string(rows[0][2]), string(rows[0][3]))
	}
	return v, nil
}

// KeyText gives a key in the form that ranges have; columns are those of Ranges. There are types that a key cannot
// be given back in.
func KeyText(table *schema.Table, columns []string, key tuple.Row) (string, error) {
	return keyLiteral(table, columns, key)
}

// KeyColumns gives the columns of a table's key, in its order: none where it can only be read as a whole.
func (r *TableReader) KeyColumns(ctx context.Context, oid uint32, table *schema.Table) (key []string, err error) {
	for i := range table.Columns {
		if c := &table.Columns[i]; c.Key && c.Redaction == 0 {
			key = append(key, c.Name)
		}
	}
	if len(key) < 2 {
		return key, nil
	}
	_, key, err = r.Ranges(ctx, oid, 1<<62, nil)
	return key, err
}

// WholeUpdate tells whether an UPDATE has all columns of the row as it is after it. Under REPLICA IDENTITY FULL it
// does not: it has what is another.
func WholeUpdate(table *schema.Table, e *change.Event) (bool, error) { return isWhole(table, e) }
