package admin

import (
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sample is what all metrics are at a moment: by name, and by name and the value of the label that is not the slot.
type sample struct {
	at     time.Time
	sums   map[string]float64
	labels map[string]map[string]float64
}

// gather looks at them. What cannot be gathered is not there.
func gather(registry prometheus.Gatherer, now time.Time) sample {
	s := sample{now, map[string]float64{}, map[string]map[string]float64{}}
	families, _ := registry.Gather()
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, "cdc_") {
			continue
		}
		s.labels[name] = map[string]float64{}
		for _, m := range f.GetMetric() {
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() // one of them is nil, and 0
			s.sums[name] += value
			for _, l := range m.GetLabel() {
				if l.GetName() != "slot" {
					s.labels[name][l.GetValue()] += value
				}
			}
		}
	}
	return s
}

func (s sample) of(name string) float64 { return s.sums[name] }

// ops are the messages by what has happened to rows.
func (s sample) ops() []fact { return s.by("cdc_relay_messages_total") }

// missing are the topics that were not there.
func (s sample) missing() []fact { return s.by("cdc_relay_missing_topics_total") }

func (s sample) by(name string) (all []fact) {
	for _, label := range slices.Sorted(maps.Keys(s.labels[name])) {
		all = append(all, fact{Name: label, Value: count(s.labels[name][label])})
	}
	return all
}

// version of something that is in the program.
type version struct{ Name, Version string }

// libraries whose versions somebody asks for.
var libraries = []string{"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go", "github.com/twmb/franz-go", "github.com/jackc/pgx/v5"}

func versions() []version {
	all := []version{{"Go", strings.TrimPrefix(runtime.Version(), "go")}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return all
	}
	own := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			own += " " + s.Value[:min(len(s.Value), 12)]
		}
	}
	all = append([]version{{"cdc-relay", strings.Trim(own, " ()")}}, all...)
	for _, d := range info.Deps {
		if slices.Contains(libraries, d.Path) {
			all = append(all, version{strings.TrimSuffix(d.Path, "/v2")[len("github.com/"):], d.Version})
		}
	}
	return all
}
