// Package admin is the relay's own HTTP server: /health, /ready, /metrics, /status.
package admin

import (
	"context"
	"encoding/json"
	"errors"
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
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { answer(w, p, healthy) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { answer(w, p, ready) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, p, always) })
	return mux
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
