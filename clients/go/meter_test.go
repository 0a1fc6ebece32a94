package cdc_test

import (
	"maps"
	"slices"
	"sync"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/metrics"
)

// meter keeps measurements for tests.
type meter struct {
	mu       sync.Mutex
	counters map[string]uint64
	highest  map[cdc.Gauge]float64
	latest   map[cdc.Gauge]float64
	observed map[cdc.Histogram][]float64
}

func newMeter() *meter {
	return &meter{counters: map[string]uint64{}, highest: map[cdc.Gauge]float64{}, latest: map[cdc.Gauge]float64{},
		observed: map[cdc.Histogram][]float64{}}
}

func (m *meter) Add(c cdc.Counter, label string, n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counters[string(c)+label] += n
}

func (m *meter) Set(g cdc.Gauge, v float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.highest[g] = max(m.highest[g], v)
	m.latest[g] = v
}

func (m *meter) Observe(h cdc.Histogram, v float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observed[h] = append(m.observed[h], v)
}

func (m *meter) values(h cdc.Histogram) []float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.observed[h])
}

// all gauges that were set.
func (m *meter) all() map[cdc.Gauge]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.latest)
}

// reconnects for any reason.
func (m *meter) reconnects() (n uint64) {
	for _, reason := range metrics.Reconnects {
		n += m.count(cdc.ReconnectsTotal, reason)
	}
	return n
}

func (m *meter) count(c cdc.Counter, label string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counters[string(c)+label]
}

func (m *meter) most(g cdc.Gauge) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.highest[g]
}

func (m *meter) now(g cdc.Gauge) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest[g]
}
