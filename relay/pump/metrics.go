package pump

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcprom"
	"github.com/pgcdc/cdc/relay/bus"
)

// Metrics of a relay.
type Metrics struct {
	client       *cdcprom.Metrics
	messages     *prometheus.CounterVec
	ops          map[string]prometheus.Counter // of messages, for the pump alone
	bytes        prometheus.Counter
	transactions prometheus.Counter
	repeated     prometheus.Counter
	sessions     prometheus.Counter
	lag          prometheus.Gauge
	running      prometheus.Gauge
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
	return &Metrics{
		client: cdcprom.New(labels),
		ops:    map[string]prometheus.Counter{},
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdc_relay_messages_total",
			Help: "Messages that were handed to the bus.", ConstLabels: labels}, []string{"op"}),
		bytes:        counter("cdc_relay_bytes_total", "Bytes of keys, values and headers that were handed to the bus."),
		transactions: counter("cdc_relay_transactions_total", "Transactions that were handed to the bus as a whole."),
		repeated:     counter("cdc_relay_repeated_transactions_total", "Transactions that came again and are in the log already."),
		sessions:     counter("cdc_relay_failed_sessions_total", "Times that the relay began anew after a failure."),
		lag:          gauge("cdc_relay_lag_seconds", "From the commit of the last transaction until it was handed to the bus."),
		running:      gauge("cdc_relay_running", "1 while the relay carries, 0 while it waits or stands by."),
	}
}

// Measure sets the metrics that count.
func (p *Pump) Measure(m *Metrics) { p.metrics = m }

// Register gives all of them to Prometheus.
func (m *Metrics) Register(r prometheus.Registerer) {
	r.MustRegister(m.client, m.messages, m.bytes, m.transactions, m.repeated, m.sessions, m.lag, m.running)
}

func (m *Metrics) sent(messages []bus.Message) {
	size := 0
	for i := range messages {
		size += messages[i].Size()
	}
	op := messages[0].Get(bus.Op)
	counter := m.ops[op]
	if counter == nil {
		counter = m.messages.WithLabelValues(op)
		m.ops[op] = counter
	}
	counter.Add(float64(len(messages)))
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
