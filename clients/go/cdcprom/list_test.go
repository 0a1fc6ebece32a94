package cdcprom

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/metrics"
)

// The metrics are those of the repository's list, which the manual is made of.
func TestList(t *testing.T) {
	content, err := os.ReadFile("../../../observability/metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Metrics []struct {
			Name, Type, Help string
			Labels           map[string]any
			From             []string
			Buckets          []float64
		}
	}
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	type metric struct{ kind, label, help string }
	shown := map[string]metric{}
	for _, c := range counters {
		shown[string(c.name)] = metric{"counter", c.label, c.help}
	}
	for _, g := range gauges {
		shown[string(g.name)] = metric{"gauge", "", g.help}
	}
	shown[string(cdc.BuildInfo)] = metric{"gauge", strings.Join(slices.Sorted(maps.Keys(build())), " "), shown[string(cdc.BuildInfo)].help}
	for _, h := range histograms {
		shown[string(h.name)] = metric{"histogram", "", h.help}
	}
	for _, m := range list.Metrics {
		if m.From[0] != "go" {
			continue
		}
		listed := metric{m.Type, strings.Join(slices.Sorted(maps.Keys(m.Labels)), " "), m.Help}
		if m.Type == "histogram" && !slices.Equal(m.Buckets, metrics.DelayBuckets()) {
			t.Errorf("%s has the buckets %v in the list", m.Name, m.Buckets)
		}
		if shown[m.Name] != listed {
			t.Errorf("%s is %q in the list, and %q here", m.Name, listed, shown[m.Name])
		}
		delete(shown, m.Name)
	}
	for name := range shown {
		t.Errorf("%s is not in the list", name)
	}
}
