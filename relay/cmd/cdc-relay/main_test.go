package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgcdc/cdc/relay"
)

func try(t *testing.T, args []string, environ ...string) (code int, out, wrong string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = command(t.Context(), args, environ, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestCalledWrongly(t *testing.T) {
	for _, args := range [][]string{nil, {"what"}, {"run", "--no"}, {"run", "x"}, {"run"}, {"run", "--config", "/no/such/file"}, {"config", "x"}, {"version", "x"}} {
		if code, _, wrong := try(t, args); code != 2 || wrong == "" {
			t.Errorf("%v: exit status %d, %q", args, code, wrong)
		}
	}
	if code, out, _ := try(t, []string{"config"}); code != 0 || !strings.Contains(out, "hold_back") {
		t.Errorf("config: %d, %s", code, out)
	}
	if code, out, _ := try(t, []string{"help"}); code != 0 || !strings.Contains(out, "Usage") {
		t.Errorf("help: %d, %s", code, out)
	}
	if code, out, _ := try(t, []string{"version"}); code != 0 || out != "cdc-relay "+relay.Version+"\n" {
		t.Errorf("version: %d, %s", code, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Without PostgreSQL a relay waits: it is healthy, not ready, and says why.
func TestWaitsForPostgreSQL(t *testing.T) {
	address := freeAddress(t)
	file := filepath.Join(t.TempDir(), "relay.toml")
	content := "[postgres]\nslot = 's'\nconn = 'host=/no/such/folder'\n[nats]\nlisten = '127.0.0.1:0'\nembedded = '" + t.TempDir() + "'\n[admin]\nlisten = '" + address + "'\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := try(t, []string{"check", "--config", file})
	if code != 1 || !strings.Contains(out, "exactly once") || !strings.Contains(out, "wrong: slot s: ") {
		t.Errorf("check: %d\n%s", code, out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() { done <- command(ctx, []string{"run", "--config", file}, nil, &bytes.Buffer{}, &bytes.Buffer{}) }()
	for range 100 {
		if _, out, _ = try(t, []string{"status", "--config", file}); strings.Contains(out, `"waiting"`) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !strings.Contains(out, "/no/such/folder") {
		t.Errorf("status: %s", out)
	}
	watching, enough := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer enough()
	var lines bytes.Buffer
	if err := watch(watching, address, &lines, 20*time.Millisecond); err != nil || !strings.Contains(lines.String(), "waiting: ") {
		t.Errorf("status --watch: %v\n%s", err, lines.String())
	}
	for path, want := range map[string]int{"/health": 200, "/ready": 503, "/metrics": 200, "/": 200, "/nothing": 404} {
		response, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("run: exit status %d", code)
	}
}
