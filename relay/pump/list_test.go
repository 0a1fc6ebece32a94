package pump

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/clients/go/metrics"
	"github.com/pgcdc/cdc/relay/plan"
)

// What the relay shows beside a client's metrics is in the repository's list, which the manual is made of.
func TestMetricsAreListed(t *testing.T) {
	content, err := os.ReadFile("../../observability/metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Metrics []struct {
			Name, Type, Help string
			From             []string
			Labels           map[string]any
			Buckets          []float64
		}
	}
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	for _, listed := range list.Metrics {
		for name, want := range map[string][]string{"cdc_relay_failed_sessions_total": reasons, "cdc_relay_dead_letters_total": plan.Reasons[:]} {
			if got := fmt.Sprint(listed.Labels["reason"]); listed.Name == name && got != fmt.Sprint(want) {
				t.Errorf("%s has the reasons %v in the list, and %v here", name, got, want)
			}
		}
		if listed.Name == "cdc_relay_publish_delay_seconds" && !slices.Equal(listed.Buckets, metrics.DelayBuckets()) {
			t.Errorf("its buckets in the list are %v", listed.Buckets)
		}
	}
	m := NewMetrics("s")
	registry := prometheus.NewPedanticRegistry()
	m.Register(registry)
	m.messages.WithLabelValues("INSERT")
	m.missing.WithLabelValues("cdc.public.t")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "cdc_relay_") {
			shown[f.GetName()] = strings.ToLower(f.GetType().String()) + ": " + f.GetHelp()
		}
	}
	for _, m := range list.Metrics {
		if !slices.Contains(m.From, "relay") {
			continue
		}
		if listed := m.Type + ": " + m.Help; shown[m.Name] != listed {
			t.Errorf("%s is %q in the list, and %q here", m.Name, listed, shown[m.Name])
		}
		delete(shown, m.Name)
	}
	for name := range shown {
		t.Errorf("%s is not in the list", name)
	}
}
