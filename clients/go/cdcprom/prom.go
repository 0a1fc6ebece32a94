// Package cdcprom gives the measurements of a stream to Prometheus.
//
//	metrics := cdcprom.New(prometheus.Labels{"slot": "orders"})
//	prometheus.MustRegister(metrics)
//	cdc.Open(ctx, cdc.Config{Metrics: metrics, ...})
package cdcprom

import (
	"maps"
	"math"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/metrics"
)

// Metrics is a cdc.Metrics and a prometheus.Collector.
type Metrics struct {
	counters   map[cdc.Counter]*prometheus.CounterVec
	gauges     map[cdc.Gauge]prometheus.Gauge
	histograms map[cdc.Histogram]prometheus.Histogram
}

var counters = []struct {
	name  cdc.Counter
	label string
	help  string
}{
	{cdc.EventsTotal, "op", "Events handed to the consumer, each time that they come; not what is skipped or set aside."},
	{cdc.TransactionsTotal, "", "Transactions handed to the consumer, and messages outside of transactions."},
	{cdc.BytesTotal, "", "Bytes of batches received."},
	{cdc.BatchesTotal, "", "Batches received."},
	{cdc.ReconnectsTotal, "reason", "Attempts to connect after the first connection, by why there was none any more."},
	{cdc.GapsTotal, "", "Transactions that came without all of their parts or events."},
	{cdc.StoreFailuresTotal, "", "Attempts to store a checkpoint that failed."},
	{cdc.DeadLettersTotal, "reason", "What was skipped or set aside; not what stops the stream."},
	{cdc.RedactedTotal, "", "Events of tables that have redacted columns."},
	{cdc.LoadRowsTotal, "", "Rows that an initial load has read."},
	{cdc.VersionMismatchesTotal, "relation", "Events in another version than the consumer expects."},
	{cdc.UnknownFieldsTotal, "", "Fields of a newer server."},
}

var gauges = []struct {
	name cdc.Gauge
	help string
}{
	{cdc.LagSeconds, "Age of the oldest transaction that was delivered and is not acknowledged; 0 when everything is."},
	{cdc.LagBytes, "WAL between what is acknowledged and what the server has sent up to."},
	{cdc.LoadRowsExpected, "About how many rows the tables of an initial load have."},
	{cdc.RetainedWALBytes, "WAL that the server keeps for the slot, as of the last connection or status, and what was written since."},
	{cdc.BufferedBytes, "Bytes that are read ahead of the consumer."},
	{cdc.Connected, "1 while there is a connection that sends changes."},
	{cdc.HeartbeatAgeSeconds, "Since the COMMIT of the last heartbeat that was handed to the consumer; none before the first."},
	{cdc.BuildInfo, "Always 1; the labels say which client it is."},
}

var histograms = []struct {
	name cdc.Histogram
	help string
}{
	{cdc.ReceiveDelaySeconds, "From COMMIT until the client had all of a transaction, of those handed to the consumer."},
	{cdc.AcknowledgeDelaySeconds, "From there until the consumer acknowledged it."},
	{cdc.ReadDelaySeconds, "From when a message was published until a reader of its topic had it, where the consumer says so."},
}

// build has the labels of cdc_build_info.
func build() prometheus.Labels {
	labels := prometheus.Labels{"client": "go", "version": "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == "github.com/pgcdc/cdc/clients/go" && m.Version != "" {
				labels["version"] = m.Version
			}
		}
	}
	return labels
}

// New makes metrics with constant labels, such as the slot's name.
func New(labels prometheus.Labels) *Metrics {
	m := &Metrics{counters: map[cdc.Counter]*prometheus.CounterVec{}, gauges: map[cdc.Gauge]prometheus.Gauge{},
		histograms: map[cdc.Histogram]prometheus.Histogram{}}
	for _, c := range counters {
		var names []string
		if c.label != "" {
			names = []string{c.label}
		}
		m.counters[c.name] = prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: string(c.name), Help: c.help, ConstLabels: labels}, names)
		if c.label == "" {
			m.counters[c.name].WithLabelValues() // shows 0
		}
	}
	for _, g := range gauges {
		constant := labels
		if g.name == cdc.BuildInfo {
			constant = build()
			maps.Copy(constant, labels)
		}
		m.gauges[g.name] = prometheus.NewGauge(prometheus.GaugeOpts{Name: string(g.name), Help: g.help, ConstLabels: constant})
	}
	m.gauges[cdc.BuildInfo].Set(1)
	m.gauges[cdc.HeartbeatAgeSeconds].Set(math.NaN())
	for _, h := range histograms {
		m.histograms[h.name] = prometheus.NewHistogram(prometheus.HistogramOpts{Name: string(h.name), Help: h.help, ConstLabels: labels,
			Buckets: metrics.DelayBuckets()})
	}
	return m
}

// Add implements cdc.Metrics. What this version does not know is not counted.
func (m *Metrics) Add(c cdc.Counter, label string, n uint64) {
	counter := m.counters[c]
	switch {
	case counter == nil:
	case label == "":
		counter.WithLabelValues().Add(float64(n))
	default:
		counter.WithLabelValues(label).Add(float64(n))
	}
}

// Set implements cdc.Metrics.
func (m *Metrics) Set(g cdc.Gauge, value float64) {
	if gauge := m.gauges[g]; gauge != nil {
		gauge.Set(value)
	}
}

// Observe implements cdc.Metrics.
func (m *Metrics) Observe(h cdc.Histogram, value float64) {
	if histogram := m.histograms[h]; histogram != nil {
		histogram.Observe(value)
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.each(func(c prometheus.Collector) { c.Describe(ch) })
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.each(func(c prometheus.Collector) { c.Collect(ch) })
}

func (m *Metrics) each(f func(prometheus.Collector)) {
	for _, c := range m.counters {
		f(c)
	}
	for _, g := range m.gauges {
		f(g)
	}
	for _, h := range m.histograms {
		f(h)
	}
}
