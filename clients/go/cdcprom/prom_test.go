package cdcprom

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/clients/go"
)

func TestMetrics(t *testing.T) {
	m := New(prometheus.Labels{"slot": "s"})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	m.Add(cdc.EventsTotal, "insert", 3)
	m.Add(cdc.EventsTotal, "insert", 4)
	m.Add(cdc.BytesTotal, "", 10)
	m.Add("something newer", "", 1)
	m.Set(cdc.LagBytes, 2.5)
	m.Observe(cdc.ReceiveDelaySeconds, 0.02)
	m.Observe(cdc.ReceiveDelaySeconds, 3000)
	m.Observe("something newer", 1)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.Metric {
			got[f.GetName()] += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	want := map[string]float64{"cdc_events_total": 7, "cdc_bytes_total": 10, "cdc_lag_bytes": 2.5, "cdc_batches_total": 0,
		"cdc_receive_delay_seconds": 2, "cdc_acknowledge_delay_seconds": 0, "cdc_build_info": 1, "cdc_gaps_total": 0}
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	// All with a label of their own are there from the start; those by op, reason and relation
	// once they have one.
	if !math.IsNaN(got["cdc_heartbeat_age_seconds"]) {
		t.Error("there is an age without a heartbeat")
	}
	if len(got) != len(counters)+len(gauges)+len(histograms)-3 {
		t.Errorf("%d families: %v", len(got), got)
	}
}
