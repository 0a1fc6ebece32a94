package admin

import (
	"bytes"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/pump"
)

const evil = `<script>alert("1")</script>'&`

type evilDriver struct{ bus.Driver }

func (evilDriver) Describe() string { return "NATS at " + evil }

// full is a page with all that there can be.
func full() *view {
	lines := []fact{{"Behind", "1.2 s", "age of the oldest transaction that PostgreSQL has not been told of"}, {"Lag in WAL", "12.4 MB", "between what is acknowledged and what the server has sent"},
		{"WAL kept", "64.1 MB", "by the server for this slot"}, {"Read ahead", "0 B", "of the bus"}, {"COMMIT to bus", "4 ms", "of the last transaction"}}
	return &view{Slot: "shop", Bus: "NATS at nats://broker-1.example.com:4222,nats://broker-2.example.com:4222, stream CDC", Topics: "cdc.{schema}.{table}",
		State: "waiting", Mood: "bad", Why: states["waiting"], Long: "2 min 4 s", Now: "2026-01-01 12:00:00 UTC", Facts: lines,
		Rates: []fact{{"Messages", "1 204 331", "4 120/s"}, {"Bytes", "412 MB", "1.4 MB/s"}, {"Transactions", "301 022", "1 030/s"}, {"Sessions that failed", "3", "0/s"}},
		Ops:   []fact{{Name: "INSERT", Value: "1 000 000"}, {Name: "UPDATE", Value: "204 331"}},
		Loads: []loading{{"public.orders", "reading", "120 000 of about 1 000 000", "1 min 12 s"},
			{"archive_of_a_department_with_a_long_name.a_table_whose_name_is_as_long_as_it_may_be_in_postgresql", "waiting", "0", ""}},
		Failures: []failure{{"2026-01-01 11:58:00 UTC", "2 min 0 s", "connecting to NATS: dial tcp 192.0.2.1:4222: connect: connection refused"}},
		Missing:  []fact{{Name: "cdc.public.orders", Value: "2"}}, Versions: versions()}
}

func shown(t *testing.T, v *view) (*httptest.ResponseRecorder, string) {
	t.Helper()
	r := httptest.NewRecorder()
	show(r, v)
	if r.Code != http.StatusOK {
		t.Fatal(r.Code, r.Body)
	}
	return r, r.Body.String()
}

// The page is at / alone, and says what the relay is and does.
func TestPage(t *testing.T) {
	p := &pump.Pump{Client: cdc.Config{Slot: "shop"}, Driver: evilDriver{}}
	p.Plan.Prefix = "changes"
	metrics := pump.NewMetrics("shop")
	p.Measure(metrics)
	registry := prometheus.NewRegistry()
	metrics.Register(registry)
	handler := Handler(p, registry)
	for path, code := range map[string]int{"/": 200, "/nothing": 404} {
		r := httptest.NewRecorder()
		handler.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
		if r.Code != code {
			t.Errorf("%s: %d", path, r.Code)
		}
		if code != 200 {
			continue
		}
		for _, want := range []string{">shop<", ">starting<", "changes.", "Messages", "Versions", "NATS at &lt;script&gt;"} {
			if !strings.Contains(r.Body.String(), want) {
				t.Errorf("the page does not have %s", want)
			}
		}
		if h := r.Header(); !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Cache-Control") != "no-store" {
			t.Error(h)
		}
	}
}

// Nothing comes from elsewhere, and nothing runs.
func TestPageStandsAlone(t *testing.T) {
	_, text := shown(t, full())
	for _, wrong := range []string{`(?i)<script`, `(?i)\bsrc=`, `(?i)<link`, `(?i)@import`, `(?i)url\(`, `(?i)href="(https?:)?//`, `(?i)\bon\w+=`} {
		if found := regexp.MustCompile(wrong).FindString(text); found != "" {
			t.Errorf("the page has %s", found)
		}
	}
	for _, want := range []string{"public.orders", "reading", "connection refused", "cdc.public.orders", "1 min 12 s", "prefers-color-scheme: dark"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
}

// Whatever comes from elsewhere is text.
func TestPageEscapes(t *testing.T) {
	one := []fact{{evil, evil, evil}}
	v := &view{Slot: evil, Bus: evil, Topics: evil, State: evil, Mood: evil, Why: evil, Long: evil, Now: evil, Facts: one, Rates: one, Ops: one,
		Loads: []loading{{evil, evil, evil, evil}}, Failures: []failure{{evil, evil, evil}}, Missing: one, Versions: []version{{evil, evil}}}
	_, text := shown(t, v)
	if strings.Contains(text, "<script") || strings.Contains(text, `"1"`) {
		t.Error(text)
	}
	if n := strings.Count(text, "&lt;script&gt;"); n < 20 {
		t.Errorf("%d of them are shown", n)
	}
}

// Rates are those of the last half minute, and before the second look those since the beginning.
func TestRates(t *testing.T) {
	began := time.Unix(1000, 0)
	p := &page{began: began}
	at := func(seconds int, messages float64) sample {
		return sample{at: began.Add(time.Duration(seconds) * time.Second), sums: map[string]float64{"cdc_relay_messages_total": messages}}
	}
	for _, c := range []struct {
		s    sample
		want string
	}{{at(10, 100), "10/s"}, {at(20, 300), "20/s"}, {at(39, 3000), "100/s"}, {at(200, 3000), "15/s"}, {at(201, 3000), "0/s"}} {
		if got := rates(p.before(c.s), c.s, began)[0].About; got != c.want {
			t.Errorf("%v: %s, not %s", c.s.at.Sub(began), got, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		count(1234567): "1\u202f234\u202f567", count(999): "999", size(0): "0 B", size(1536): "1.54 kB", size(16e6): "16 MB",
		seconds(0): "0 s", seconds(0.0123): "12 ms", seconds(3.21): "3.21 s", seconds(3700): "1 h 1 min", ago(90 * time.Hour): "3 d 18 h",
		perSecond(0.25, count): "0.25/s",
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// A browser draws it, on a desk and on a telephone. CDC_SCREENSHOTS: a folder for the pictures.
func TestScreenshots(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("there is no Chromium")
	}
	folder := os.Getenv("CDC_SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { show(w, full()) }))
	defer server.Close()
	for _, size := range [][2]int{{1280, 1100}, {400, 1500}} {
		file := filepath.Join(folder, "page-"+strconv.Itoa(size[0])+".png")
		command := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
			"--window-size="+strconv.Itoa(size[0])+","+strconv.Itoa(size[1]), "--screenshot="+file, server.URL)
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(content))
		if err != nil || picture.Bounds().Dx() != size[0] {
			t.Fatalf("%v: %v", picture.Bounds(), err)
		}
		colours := map[string]bool{}
		for y := 0; y < size[1]; y += 2 {
			for x := 0; x < size[0]; x += 2 {
				r, g, b, _ := picture.At(x, y).RGBA()
				colours[strconv.Itoa(int(r>>8<<16|g>>8<<8|b>>8))] = true
			}
		}
		if len(colours) < 20 {
			t.Errorf("%d: the picture has %d colours", size[0], len(colours))
		}
	}
}
