package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

func TestCommitted(t *testing.T) {
	made, err := build()
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../dashboard.json")
	if err != nil || string(made) != string(committed) {
		t.Errorf("observability/dashboard.json is not what the code makes: go run . >../dashboard.json (%v)", err)
	}
}

// known are the names that series can have, with the metric.
func known(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile("../metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Metrics []struct{ Name, Type string }
	}
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, m := range list.Metrics {
		if m.Type != "histogram" {
			names[m.Name] = m.Name
			continue
		}
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			names[m.Name+end] = m.Name
		}
	}
	return names
}

// asked is a query as Grafana would send it.
func asked(q query) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$slot", ".*").Replace(q.expr)
}

func forEach(f func(p *panel, q query)) {
	for _, r := range rows {
		for i := range r.panels {
			for _, q := range r.panels[i].queries {
				f(&r.panels[i], q)
			}
		}
	}
}

// Every query parses and names metrics of the list, and there is none that is not shown.
func TestQueries(t *testing.T) {
	names := known(t)
	shown := map[string]bool{}
	forEach(func(p *panel, q query) {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(asked(q))
		if err != nil {
			t.Errorf("%s: %v", p.title, err)
			return
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if s, ok := node.(*parser.VectorSelector); ok {
				for _, m := range s.LabelMatchers {
					if m.Name == labels.MetricName {
						if names[m.Value] == "" {
							t.Errorf("%s: there is no metric %s", p.title, m.Value)
						}
						shown[names[m.Value]] = true
					}
				}
			}
			return nil
		})
	})
	for _, name := range names { // the metric's, whichever of its series is asked for
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// With CDC_PROMETHEUS, the URL of one that scrapes a client in Go, one in Rust, a relay and the
// server's exporter: every query gives data.
func TestLive(t *testing.T) {
	address := os.Getenv("CDC_PROMETHEUS")
	if address == "" {
		t.Skip("CDC_PROMETHEUS names no Prometheus")
	}
	forEach(func(p *panel, q query) {
		if n, err := ask(address, asked(q)); err != nil || n == 0 {
			t.Errorf("%s: %s gives %d series (%v)", p.title, asked(q), n, err)
		}
	})
}

// ask gives how many series an instant query has.
func ask(address, query string) (int, error) {
	answer, err := http.Get(address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var body struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return 0, err
	}
	if body.Status != "success" {
		return 0, fmt.Errorf("%s", body.Error)
	}
	return len(body.Data.Result), nil
}
