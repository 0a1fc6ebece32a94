package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	database    = "cdc_compare"
	conninfo    = "dbname=" + database
	replication = conninfo + " replication=database"
)

func slotOf(plugin string) string { return "cdc_compare_" + plugin }

// As in the project's other benchmarks: ten columns of many types, a NULL in ten rows.
const table = `CREATE TABLE mixed (
    id bigint PRIMARY KEY, quantity integer NOT NULL, price numeric(12,2), code text NOT NULL,
    note text, paid boolean, made timestamptz, weight double precision, token uuid, extra jsonb)`

const insert = `INSERT INTO mixed SELECT
    n, n %% 1000, (n %% 100000) / 100.0, 'c' || lpad((n %% 100000)::text, 6, '0'),
    CASE WHEN n %% 10 > 0 THEN repeat(md5(n::text), 2)::varchar(40) END, n %% 3 = 0,
    '2026-01-01 00:00:00+00'::timestamptz + n * interval '1.001 s', n / 7.0::float8, md5(n::text)::uuid,
    jsonb_build_object('n', n, 'tag', 'x' || n %% 7)
FROM generate_series(%d, %d) n`

const update = `UPDATE mixed SET quantity = quantity + 1, price = price + 0.5 WHERE id BETWEEN %d AND %d`

const perTransaction = 1000

// prepare makes the database, the slots, and then the changes.
func prepare(ctx context.Context, inserts, updates int) error {
	if err := clean(ctx); err != nil {
		return err
	}
	if err := execute(ctx, "", "CREATE DATABASE "+database+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return err
	}
	statements := []string{"CREATE EXTENSION cdc", table, "CREATE PUBLICATION compare FOR TABLE mixed"}
	made := map[string]bool{}
	for _, c := range contenders {
		if !made[c.plugin] {
			statements = append(statements, fmt.Sprintf("SELECT pg_create_logical_replication_slot('%s', '%s')", slotOf(c.plugin), c.plugin))
			made[c.plugin] = true
		}
	}
	for _, step := range []struct {
		sql  string
		rows int
	}{{insert, inserts}, {update, updates}} {
		for first := 1; first <= step.rows; first += perTransaction {
			statements = append(statements, fmt.Sprintf(step.sql, first, min(first+perTransaction-1, step.rows)))
		}
	}
	return execute(ctx, conninfo, append(statements, "CHECKPOINT")...)
}

// free waits until nobody reads: servers learn late that a client has gone.
func free(ctx context.Context) error {
	return execute(ctx, conninfo, "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_replication_slots WHERE active AND database = current_database()) "+
		"LOOP PERFORM pg_sleep(0.05); END LOOP; END $$")
}

// clean drops everything.
func clean(ctx context.Context) error {
	return execute(ctx, "",
		"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '"+database+"'",
		"DROP DATABASE IF EXISTS "+database)
}

func execute(ctx context.Context, conninfo string, statements ...string) error {
	conn, err := pgconn.Connect(ctx, conninfo)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("%.100s: %w", sql, err)
		}
	}
	return nil
}
