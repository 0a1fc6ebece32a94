// Package admin is the relay's own HTTP server: / for people, /health, /ready, /metrics, /status, /load, /replay.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pgcdc/cdc/relay/pump"
)

// Serve answers until ctx ends.
func Serve(ctx context.Context, listener net.Listener, p *pump.Pump, registry *prometheus.Registry) error {
	server := &http.Server{Handler: Handler(p, registry), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Handler answers the questions.
func Handler(p *pump.Pump, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", newPage(p, registry))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { answer(w, p, healthy) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { answer(w, p, ready) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, p, always) })
	mux.HandleFunc("POST /load", func(w http.ResponseWriter, r *http.Request) { start(w, r, p) })
	mux.HandleFunc("POST /replay", func(w http.ResponseWriter, r *http.Request) { replay(w, r, p) })
	return mux
}

// maxRequest is how long a list may be.
const maxRequest = 16 << 20

// start has tables be loaded: the body is a list of their names in JSON.
func start(w http.ResponseWriter, r *http.Request, p *pump.Pump) {
	if tables := list[string](w, r); tables != nil {
		relations, err := p.Load(r.Context(), tables)
		done(w, relations, err)
	}
}

// replay has the rows of dead letters be sent: the body is a list of the letters' values in base64.
func replay(w http.ResponseWriter, r *http.Request, p *pump.Pump) {
	if values := list[[]byte](w, r); values != nil {
		replayed, err := p.Replay(r.Context(), values)
		done(w, replayed, err)
	}
}

// list is that of the body, nil if there is none. (A page in a browser cannot ask for that type of content.)
func list[T any](w http.ResponseWriter, r *http.Request) (items []T) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" || json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&items) != nil || len(items) == 0 {
		http.Error(w, "the body is to be a list in JSON", http.StatusBadRequest)
		return nil
	}
	return items
}

// done answers what was asked for.
func done(w http.ResponseWriter, what any, err error) {
	switch {
	case errors.Is(err, pump.ErrNotCarrying):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(what)
	}
}

// healthy: the process is at work, though it may wait for something else. To start it again
// would not help.
func healthy(s pump.Status) bool { return s.State != "stopped" }

// ready: changes go from the slot to the bus, or would if another relay stopped.
func ready(s pump.Status) bool { return s.State == "running" || s.State == "standby" }

func always(pump.Status) bool { return true }

func answer(w http.ResponseWriter, p *pump.Pump, good func(pump.Status) bool) {
	status := p.Status()
	w.Header().Set("Content-Type", "application/json")
	if !good(status) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(status)
}
