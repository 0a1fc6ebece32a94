package pump

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcprom"
	"github.com/pgcdc/cdc/clients/go/metrics"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/load"
	"github.com/pgcdc/cdc/relay/plan"
)

// Metrics of a relay.
type Metrics struct {
	client       *cdcprom.Metrics
	messages     *prometheus.CounterVec
	ops          map[string]prometheus.Counter // of messages, for the pump alone
	bytes        prometheus.Counter
	transactions prometheus.Counter
	repeated     prometheus.Counter
	sessions     *prometheus.CounterVec
	published    prometheus.Histogram
	letters      *prometheus.CounterVec
	dead         string // topic of dead letters
	missing      *prometheus.CounterVec
	lag          prometheus.Gauge
	running      prometheus.Gauge
	loads        *load.Metrics
}

// NewMetrics makes them for a slot.
func NewMetrics(slot string) *Metrics {
	labels := prometheus.Labels{"slot": slot}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels})
	}
	m := &Metrics{
		client: cdcprom.New(labels),
		ops:    map[string]prometheus.Counter{},
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdc_relay_messages_total",
			Help: "Messages that were handed to the bus.", ConstLabels: labels}, []string{"op"}),
		bytes:        counter("cdc_relay_bytes_total", "Bytes of keys, values and headers that were handed to the bus."),
		transactions: counter("cdc_relay_transactions_total", "Transactions that were handed to the bus as a whole."),
		repeated:     counter("cdc_relay_repeated_transactions_total", "Transactions that came again and are in the log already."),
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdc_relay_failed_sessions_total",
			Help: "Times that the relay began anew after a failure, by what had failed.", ConstLabels: labels}, []string{"reason"}),
		published: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cdc_relay_publish_delay_seconds",
			Help: "From COMMIT until the bus had stored all of a transaction.", ConstLabels: labels, Buckets: metrics.DelayBuckets()}),
		letters: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdc_relay_dead_letters_total",
			Help: "Changes that went to the topic of dead letters.", ConstLabels: labels}, []string{"reason"}),
		missing: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdc_relay_missing_topics_total",
			Help: "Times that a topic, or the stream, was not there or was deleted.", ConstLabels: labels}, []string{"topic"}),
		lag:     gauge("cdc_relay_lag_seconds", "From COMMIT of the last transaction until it was handed to the bus."),
		running: gauge("cdc_relay_running", "1 while the relay carries, 0 while it waits or stands by."),
		loads:   load.NewMetrics(labels),
	}
	for _, reason := range reasons { // a series that begins with 0 has an increase
		m.sessions.WithLabelValues(reason)
	}
	for _, reason := range plan.Reasons {
		m.letters.WithLabelValues(reason)
	}
	return m
}

// Measure sets the metrics that count.
func (p *Pump) Measure(m *Metrics) { p.metrics = m }

// Register gives all of them to Prometheus.
func (m *Metrics) Register(r prometheus.Registerer) {
	r.MustRegister(m.client, m.messages, m.bytes, m.transactions, m.repeated, m.sessions, m.published, m.letters, m.missing, m.lag, m.running, m.loads.Rows, m.loads.Estimated, m.loads.Tables)
}

func (m *Metrics) sent(messages []bus.Message) {
	size := 0
	for i := range messages {
		size += messages[i].Size()
		op := messages[i].Get(bus.Op)
		counter := m.ops[op]
		if counter == nil {
			counter = m.messages.WithLabelValues(op)
			m.ops[op] = counter
		}
		counter.Inc()
		if messages[i].Topic == m.dead {
			m.letters.WithLabelValues(messages[i].Get(bus.Reason)).Inc()
		}
	}
	m.bytes.Add(float64(size))
}

func (m *Metrics) transaction(t *cdc.Txn) {
	m.transactions.Inc()
	if at := t.CommitTime(); !at.IsZero() {
		m.lag.Set(max(0, time.Since(at).Seconds()))
	}
}

func (m *Metrics) state(state string) {
	running := 0.0
	if state == "running" {
		running = 1
	}
	m.running.Set(running)
}

// published observes how long a transaction took that the bus has now. Those that it had before are none of this
// session's.
func (s *session) published(t *cdc.Txn) {
	if t.CommitTimeUS != 0 && uint64(t.CommitLSN) > s.repeated.Load() {
		s.pump.metrics.published.Observe(max(0, time.Since(t.CommitTime()).Seconds()))
	}
}
