package replica

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/change"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/libpq"
	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// How a table is read: in ranges of its key, each under a snapshot of its own.

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
