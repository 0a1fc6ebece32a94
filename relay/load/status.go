package load

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of loads.
type Metrics struct {
	Rows      prometheus.Counter
	Estimated prometheus.Gauge
	Tables    prometheus.Gauge
}

// NewMetrics makes them.
func NewMetrics(labels prometheus.Labels) *Metrics {
	return &Metrics{
		Rows:      prometheus.NewCounter(prometheus.CounterOpts{Name: "cdc_relay_load_rows_total", Help: "Rows of loads that were handed to the bus.", ConstLabels: labels}),
		Estimated: prometheus.NewGauge(prometheus.GaugeOpts{Name: "cdc_relay_load_rows_estimated", Help: "About how many rows are still to be loaded.", ConstLabels: labels}),
		Tables:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "cdc_relay_load_tables", Help: "Tables that are loaded, or are to be.", ConstLabels: labels}),
	}
}

// Status of a table's load.
type Status struct {
	Table string `json:"table"`
	Load  uint64 `json:"load"`
	// State is waiting, reading, read (the stream has not passed it yet), loaded.
	State string `json:"state"`
	Rows  uint64 `json:"rows"`
	// Estimated rows of the table; 0: not known.
	Estimated     uint64 `json:"rows_estimated"`
	RowsPerSecond uint64 `json:"rows_per_second,omitempty"`
	SecondsLeft   uint64 `json:"seconds_left,omitempty"`
}

// meter tells how fast the table at hand is read, by this process.
type meter struct {
	table *Table
	began time.Time
	said  time.Time
	rows  uint64
}

func (m *meter) of(t *Table) {
	if m.table != t {
		*m = meter{table: t, began: time.Now(), said: time.Now()}
	}
}

// speed in rows per second, and how long the rest may take.
func (m *meter) speed(t *Table) (rate, left uint64) {
	if m.table != t || m.rows == 0 {
		return 0, 0
	}
	rate = max(1, uint64(float64(m.rows)/max(time.Since(m.began).Seconds(), 1e-3)))
	if t.Estimated > t.At.Rows {
		left = (t.Estimated - t.At.Rows) / rate
	}
	return rate, left
}

// sayEvery is how often the progress of a load is logged.
const sayEvery = 10 * time.Second

func (l *Loader) say(what string, t *Table) {
	rate, left := l.meter.speed(t)
	l.meter.said = time.Now()
	attrs := []slog.Attr{slog.String("relation", t.Relation), slog.Uint64("load", t.Load), slog.Uint64("rows", t.At.Rows),
		slog.Uint64("expected", t.Estimated), slog.Uint64("rows_per_second", rate)}
	if left > 0 && !t.Read {
		attrs = append(attrs, slog.Uint64("seconds_left", left))
	}
	l.options.Logger.LogAttrs(context.Background(), slog.LevelInfo, what, attrs...)
}

// publish makes known how far it is.
func (l *Loader) publish() {
	var all []Status
	estimated, open := 0.0, 0.0
	for _, t := range l.progress.Tables {
		s := Status{Table: t.Relation, Load: t.Load, State: "waiting", Rows: t.At.Rows, Estimated: t.Estimated}
		switch {
		case t.Ended != nil:
			s.State = "loaded"
		case t.Read:
			s.State = "read"
		case t.Topic != "":
			s.State = "reading"
			s.RowsPerSecond, s.SecondsLeft = l.meter.speed(t)
		}
		if t.Ended == nil {
			open++
		}
		if !t.Read && t.Estimated > t.At.Rows {
			estimated += float64(t.Estimated - t.At.Rows)
		}
		all = append(all, s)
	}
	l.options.Metrics.Estimated.Set(estimated)
	l.options.Metrics.Tables.Set(open)
	l.options.Publish(all)
}
