package admin

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/relay/pump"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// policy has a browser load nothing for the page, and run nothing in it.
const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"

// page shows people what the relay does, without anything else that would have to run.
type page struct {
	pump     *pump.Pump
	registry prometheus.Gatherer
	began    time.Time
	versions []version

	mu      sync.Mutex
	samples []sample // of the last time, the oldest first
}

func newPage(p *pump.Pump, registry prometheus.Gatherer) *page {
	return &page{pump: p, registry: registry, began: time.Now(), versions: versions()}
}

// ServeHTTP implements http.Handler.
func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) { show(w, p.view(time.Now())) }

// show writes the page.
func show(w http.ResponseWriter, v *view) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}
