package replica

import (
	"context"
	"log/slog"
	"time"

	"github.com/pgcdc/cdc/clients/go/metrics"
)

// loadMeter tells how far a load has come.
type loadMeter struct {
	logger  *slog.Logger
	metrics metrics.Metrics
	every   time.Duration

	expected float64 // of all tables
	table    tableMeter
}

// tableMeter is that of the table that is read now.
type tableMeter struct {
	name     string
	began    time.Time
	said     time.Time
	rows     uint64
	expected float64
}

// logLoadEvery is how often the progress of a load is logged.
const logLoadEvery = 10 * time.Second

func (l *Loader) measure(ctx context.Context) {
	l.meter = &loadMeter{logger: l.Logger, metrics: l.Metrics, every: logLoadEvery}
	if l.meter.logger == nil {
		l.meter.logger = slog.New(slog.DiscardHandler)
	}
	if l.meter.metrics == nil {
		l.meter.metrics = metrics.None{}
	}
	if l.progress.Done() {
		return
	}
	for i := range l.progress.Tables {
		l.meter.expected += l.estimate(ctx, &l.progress.Tables[i])
	}
	l.meter.metrics.Set(metrics.LoadRowsExpected, l.meter.expected)
}

// estimate asks about how many rows a table has; 0 if the server does not know.
func (l *Loader) estimate(ctx context.Context, t *TableProgress) float64 {
	n := 0.0
	rows, err := l.query(ctx, `SELECT greatest(sum(greatest(c.reltuples, 0)), 0)::int8 FROM pg_catalog.pg_class c
		WHERE c.oid = $1::text::oid OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1::text::oid::pg_catalog.regclass) WHERE isleaf)`, t.oid())
	if err != nil || len(rows) == 0 {
		return 0
	}
	for _, digit := range rows[0][0] {
		n = 10*n + float64(digit-'0')
	}
	return n
}

func (m *loadMeter) begin(table string, expected float64) {
	m.table = tableMeter{name: table, began: time.Now(), said: time.Now(), expected: expected}
}

func (m *loadMeter) add(rows int) {
	if rows == 0 {
		return
	}
	m.table.rows += uint64(rows)
	m.metrics.Add(metrics.LoadRowsTotal, "", uint64(rows))
	if time.Since(m.table.said) >= m.every {
		m.say("loading")
	}
}

// say logs what has been read by this process, and how long the rest may take.
func (m *loadMeter) say(what string) {
	t := &m.table
	t.said = time.Now()
	took := time.Since(t.began)
	rate := float64(t.rows) / max(took.Seconds(), 1e-3)
	attrs := []slog.Attr{slog.String("relation", t.name), slog.Uint64("rows", t.rows),
		slog.Uint64("expected", uint64(t.expected)), slog.Int64("rows_per_second", int64(rate))}
	if left := t.expected - float64(t.rows); left > 0 && rate > 0 && what == "loading" {
		attrs = append(attrs, slog.Int64("seconds_left", int64(left/rate)))
	}
	m.logger.LogAttrs(context.Background(), slog.LevelInfo, what, attrs...)
}
