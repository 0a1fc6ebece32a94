package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgcdc/cdc/clients/go"
)

// The target remembers the schema of each table as the stream had it last: columns are told
// apart by their numbers there, whatever they are called.
const createSchemas = "CREATE TABLE IF NOT EXISTS copy_schema (relation text PRIMARY KEY, descriptor bytea NOT NULL)"

// follower makes of the target's tables what commands have made of the source's.
type follower struct {
	tx    pgx.Tx
	known map[string]cdc.Fingerprint // of relations, as far as they were looked at
	whole map[string]bool            // of which the transaction has written all rows
}

func (f *follower) exec(ctx context.Context, sql string, args ...any) error {
	if _, err := f.tx.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func identifier(names ...string) string { return pgx.Identifier(names).Sanitize() }

// change follows a command.
func (f *follower) change(ctx context.Context, e *cdc.Event) error {
	s, err := e.SchemaChange()
	if err != nil {
		return err
	}
	table := e.Table()
	switch s.Kind {
	case cdc.SchemaDropped:
		return f.drop(ctx, s.FormerSchema, s.FormerName)
	case cdc.SchemaLeft:
		slog.Warn("no more rows of a table come", "table", s.Former(), "command", s.CommandTag)
		return nil
	case cdc.SchemaAltered:
		return f.alter(ctx, s, table)
	case cdc.SchemaEntered:
		slog.Warn("rows that a table has already are not copied", "table", table.String(), "command", s.CommandTag)
	}
	if f.whole[table.String()] { // the command's own rows came before
		return nil
	}
	if err := f.drop(ctx, table.Schema, table.Name); err != nil {
		return err
	}
	return f.create(ctx, table)
}

func (f *follower) drop(ctx context.Context, schema, name string) error {
	relation := cdc.QualifiedName(schema, name)
	delete(f.known, relation)
	delete(f.whole, relation)
	if err := f.exec(ctx, "DELETE FROM copy_schema WHERE relation = $1", relation); err != nil {
		return err
	}
	return f.exec(ctx, "DROP TABLE IF EXISTS "+identifier(schema, name))
}

// create makes a table with the columns that the stream has, and its key.
func (f *follower) create(ctx context.Context, table *cdc.Table) error {
	var parts []string
	for i := range table.Columns {
		if c := &table.Columns[i]; !left(c) {
			parts = append(parts, name(c)+" "+c.PgType+map[bool]string{true: " NOT NULL"}[c.NotNull])
		}
	}
	if key := keyOf(table); key != "" {
		parts = append(parts, "PRIMARY KEY ("+key+")")
	}
	if err := f.exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+identifier(table.Schema)); err != nil {
		return err
	}
	if err := f.exec(ctx, "CREATE TABLE "+identifier(table.Schema, table.Name)+" ("+strings.Join(parts, ", ")+")"); err != nil {
		return err
	}
	return f.remember(ctx, table)
}

func keyOf(table *cdc.Table) string {
	var names []string
	for i := range table.Columns {
		if c := &table.Columns[i]; c.Key {
			names = append(names, name(c))
		}
	}
	return strings.Join(names, ", ")
}

func (f *follower) remember(ctx context.Context, table *cdc.Table) error {
	f.known[table.String()] = table.Fingerprint
	return f.exec(ctx, "INSERT INTO copy_schema VALUES ($1, $2) ON CONFLICT (relation) DO UPDATE SET descriptor = excluded.descriptor",
		table.String(), table.Bytes)
}

// alter gives a table its name and its columns.
func (f *follower) alter(ctx context.Context, s *cdc.SchemaChange, table *cdc.Table) error {
	if s.Former() != "" {
		if err := f.rename(ctx, s, table); err != nil {
			return err
		}
	}
	return f.reach(ctx, table)
}

func (f *follower) rename(ctx context.Context, s *cdc.SchemaChange, table *cdc.Table) error {
	if err := f.drop(ctx, table.Schema, table.Name); err != nil {
		return err
	}
	at := s.FormerSchema
	if at != table.Schema {
		if err := f.exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+identifier(table.Schema)); err != nil {
			return err
		}
		if err := f.exec(ctx, "ALTER TABLE IF EXISTS "+identifier(at, s.FormerName)+" SET SCHEMA "+identifier(table.Schema)); err != nil {
			return err
		}
		at = table.Schema
	}
	if s.FormerName != table.Name {
		if err := f.exec(ctx, "ALTER TABLE IF EXISTS "+identifier(at, s.FormerName)+" RENAME TO "+identifier(table.Name)); err != nil {
			return err
		}
	}
	f.whole[table.String()] = f.whole[s.Former()]
	delete(f.known, s.Former())
	delete(f.whole, s.Former())
	return f.exec(ctx, "UPDATE copy_schema SET relation = $2 WHERE relation = $1", s.Former(), table.String())
}

// reach takes a table to the schema of an event.
func (f *follower) reach(ctx context.Context, table *cdc.Table) error {
	relation := table.String()
	if f.known[relation] == table.Fingerprint {
		return nil
	}
	var stored []byte
	var exists bool
	if err := f.tx.QueryRow(ctx, "SELECT (SELECT descriptor FROM copy_schema WHERE relation = $1), to_regclass($2) IS NOT NULL",
		relation, identifier(table.Schema, table.Name)).Scan(&stored, &exists); err != nil {
		return err
	}
	if !exists {
		f.whole[relation] = true
		return f.create(ctx, table)
	}
	if stored != nil {
		before, err := cdc.ParseTable(stored, cdc.Limits{})
		if err != nil {
			return err
		}
		if err := f.columns(ctx, before, table); err != nil {
			return err
		}
	}
	return f.remember(ctx, table)
}

// columns makes those of one schema those of another.
func (f *follower) columns(ctx context.Context, before, table *cdc.Table) error {
	target := "ALTER TABLE " + identifier(table.Schema, table.Name) + " "
	var first, then []string // names first, two may have been swapped
	rekeyed := keyNumbers(before) != keyNumbers(table)
	if rekeyed {
		if err := f.dropKey(ctx, table); err != nil {
			return err
		}
	}
	for i := range before.Columns {
		was := &before.Columns[i]
		now := table.Column(was.Number)
		switch {
		case left(was) || now != nil && left(now):
		case now == nil:
			then = append(then, "DROP COLUMN "+name(was))
		default:
			if was.Name != now.Name {
				free := identifier(fmt.Sprintf("copy column %d", now.Number))
				first = append([]string{"RENAME COLUMN " + name(was) + " TO " + free}, append(first, "RENAME COLUMN "+free+" TO "+name(now))...)
			}
			then = append(then, differences(was, now)...)
		}
	}
	for i := range table.Columns {
		if c := &table.Columns[i]; before.Column(c.Number) == nil && !left(c) {
			sql, err := added(c)
			if err != nil {
				return err
			}
			then = append(then, sql...)
		}
	}
	if key := keyOf(table); rekeyed && key != "" {
		then = append(then, "ADD PRIMARY KEY ("+key+")")
	}
	for _, sql := range append(first, then...) {
		if err := f.exec(ctx, target+sql); err != nil {
			return err
		}
	}
	return nil
}

func keyNumbers(table *cdc.Table) (numbers string) {
	for i := range table.Columns {
		if table.Columns[i].Key {
			numbers += fmt.Sprint(table.Columns[i].Number, " ")
		}
	}
	return numbers
}

func (f *follower) dropKey(ctx context.Context, table *cdc.Table) error {
	target := identifier(table.Schema, table.Name)
	var constraint string
	err := f.tx.QueryRow(ctx, "SELECT coalesce((SELECT conname FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'p'), '')", target).Scan(&constraint)
	if err != nil || constraint == "" {
		return err
	}
	return f.exec(ctx, "ALTER TABLE "+target+" DROP CONSTRAINT "+identifier(constraint))
}

// differences are what makes a column what it is now.
func differences(was, now *cdc.Column) (sql []string) {
	if was.PgType != now.PgType {
		sql = append(sql, fmt.Sprintf("ALTER COLUMN %s TYPE %s USING %[1]s::text::%[2]s", name(now), now.PgType))
	}
	if was.NotNull != now.NotNull {
		word := map[bool]string{true: "SET", false: "DROP"}[now.NotNull]
		sql = append(sql, "ALTER COLUMN "+name(now)+" "+word+" NOT NULL")
	}
	return sql
}

// added makes a column. Rows that are there get its value, and new ones bring their own.
func added(c *cdc.Column) (sql []string, err error) {
	text, found, err := find(c, c.Missing)
	if err != nil {
		return nil, err
	}
	sql = []string{"ADD COLUMN " + name(c) + " " + c.PgType}
	if found {
		literal := "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(string(text)) + "'"
		sql = []string{sql[0] + " DEFAULT " + literal, "ALTER COLUMN " + name(c) + " DROP DEFAULT"}
	}
	if c.NotNull {
		sql = append(sql, "ALTER COLUMN "+name(c)+" SET NOT NULL")
	}
	return sql, nil
}
