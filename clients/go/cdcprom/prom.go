// Package cdcprom gives the measurements of a stream to Prometheus.
//
//	metrics := cdcprom.New(prometheus.Labels{"slot": "orders"})
//	prometheus.MustRegister(metrics)
//	cdc.Open(ctx, cdc.Config{Metrics: metrics, ...})
package cdcprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/clients/go"
)

// Metrics is a cdc.Metrics and a prometheus.Collector.
type Metrics struct {
	counters map[cdc.Counter]*prometheus.CounterVec
	gauges   map[cdc.Gauge]prometheus.Gauge
}

var counters = []struct {
	name  cdc.Counter
	label string
	help  string
}{
	{cdc.EventsTotal, "op", "Changes that were received and can be handed on."},
	{cdc.TransactionsTotal, "", "Transactions that were given to the consumer."},
	{cdc.BytesTotal, "", "Bytes of the batches that were received."},
	{cdc.BatchesTotal, "", "Batches that were received."},
	{cdc.ReconnectsTotal, "", "Attempts to connect again."},
	{cdc.StoreFailuresTotal, "", "Attempts to store a checkpoint that failed."},
	{cdc.DeadLettersTotal, "reason", "What was skipped or set aside."},
	{cdc.RedactedTotal, "", "Changes of tables with redacted columns."},
	{cdc.VersionMismatchesTotal, "relation", "Changes in another version than expected."},
	{cdc.UnknownFieldsTotal, "", "Fields of a newer server."},
}

var gauges = []struct {
	name cdc.Gauge
	help string
}{
	{cdc.LagSeconds, "Seconds since the oldest transaction that was delivered but not acknowledged committed; 0 when there is nothing more."},
	{cdc.LagBytes, "WAL between the server's position and the acknowledged one."},
	{cdc.RetainedWALBytes, "WAL that the slot makes the server keep."},
	{cdc.BufferedBytes, "Bytes that are read ahead of the consumer."},
}

// New makes metrics with constant labels, such as the slot's name.
func New(labels prometheus.Labels) *Metrics {
	m := &Metrics{counters: map[cdc.Counter]*prometheus.CounterVec{}, gauges: map[cdc.Gauge]prometheus.Gauge{}}
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
		m.gauges[g.name] = prometheus.NewGauge(prometheus.GaugeOpts{Name: string(g.name), Help: g.help, ConstLabels: labels})
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
}
