package pump

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/relay/bus"
)

// What has failed is told apart, however deep it is.
func TestReasons(t *testing.T) {
	away := errors.New("connection refused")
	for want, errs := range map[string][]error{
		byStandby: {&pgconn.PgError{Code: "55006"}, ofSource(&pgconn.PgError{Code: "55006"})},
		byFence:   {ofSide(byBroker, &bus.FencedError{Err: away})},
		byTopic:   {ofSide(byBroker, fmt.Errorf("x: %w", &bus.MissingError{Name: "p.t"}))},
		byBroker:  {ofSide(byBroker, away), ofSource(&cdc.StoreError{Err: ofSide(byBroker, away)})},
		bySource:  {ofSource(away), ofSource(&pgconn.PgError{Code: "57P01"})},
		byOther:   {away},
	} {
		for _, err := range errs {
			if got := reason(err); got != want {
				t.Errorf("%v is %s, want %s", err, got, want)
			}
		}
	}
	if ofSide(byBroker, nil) != nil || ofSource(nil) != nil {
		t.Error("no error is none")
	}
}

// numbers are what the metrics show: values, and how many were observed, by name and reason.
func numbers(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	m.Register(registry)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.Metric {
			name := f.GetName()
			for _, label := range metric.Label {
				if label.GetName() == "reason" {
					name += " " + label.GetValue()
				}
			}
			found[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return found
}

// Each transaction is observed once it is stored, and each dead letter is counted.
func TestPublished(t *testing.T) {
	eachBus(t, func(t *testing.T, to target) {
		source, m := cdctest.NewSource("s"), NewMetrics("s")
		p := newPump(t, source, to.driver)
		p.Client.OnFailure, p.Plan.FailuresAside = cdc.PolicyPass, true
		p.Measure(m)
		stop := running(t, p)
		source.Insert("public", "t", "a", "b")
		source.Insert("public", "t", "c")
		b := source.Transaction()
		f, table := cdctest.Table("public", "t")
		b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(f), Table: table}}
		b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpInsert, Schema: uint64(f), Key: []byte("\x0a\x01d"), Failure: &cdcv1.Failure{Sqlstate: "22P05"}}}
		b.EventCount = 1
		source.Add(b)
		confirmed(t, source)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		found := numbers(t, m)
		for name, want := range map[string]float64{"cdc_relay_publish_delay_seconds": 3, "cdc_relay_dead_letters_total failure": 1,
			"cdc_relay_dead_letters_total too_large": 0, "cdc_relay_failed_sessions_total broker": 0, "cdc_build_info": 1, "cdc_connected": 0,
			"cdc_receive_delay_seconds": 3, "cdc_acknowledge_delay_seconds": 3} {
			if got, ok := found[name]; !ok || got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
}
