package jetstream

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

func reaches(t *testing.T, c config.NATS) error {
	t.Helper()
	d, err := New(c, "p", "s", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		return err
	}
	defer d.Close()
	b, err := d.Open(t.Context(), bus.Events{})
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = b.Claim(t.Context())
	return err
}

func TestMutualTLS(t *testing.T) {
	certs := verify.NewCerts(t)
	s := verify.NATSServer(t, &server.Options{TLS: true, TLSVerify: true, TLSConfig: certs.Server(t), TLSTimeout: 10})
	good := config.NATS{URL: s.ClientURL(), CA: certs.CA, Cert: certs.Cert, Key: certs.Key, Stream: "CDC", Create: true, Replicas: 1, Partitions: 1, InFlight: 1 << 20}
	if err := reaches(t, good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]func(*config.NATS){
		"no certificate":    func(c *config.NATS) { c.Cert, c.Key = "", "" },
		"unknown authority": func(c *config.NATS) { c.CA = "" },
	} {
		bad := good
		c(&bad)
		if err := reaches(t, bad); err == nil {
			t.Errorf("%s: it was let in", name)
		}
	}
	absent := good
	absent.Stream, absent.Create = "OTHER", false
	if err := reaches(t, absent); err == nil || !strings.Contains(err.Error(), "there is no stream OTHER: make it with the subjects p.>, or set nats.create") {
		t.Errorf("the error is %v", err)
	}
}

// Two relays cannot run a server in the same folder.
func TestFolderIsTaken(t *testing.T) {
	c := config.NATS{Embedded: t.TempDir(), Listen: "127.0.0.1:0", Stream: "CDC"}
	logger := slog.New(slog.DiscardHandler)
	d, err := New(c, "p", "s", logger)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(c, "p", "s", logger); err == nil || !strings.Contains(err.Error(), "in use by another relay") {
		t.Errorf("the error is %v", err)
	}
	d.Close()
	again, err := New(c, "p", "s", logger)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestCheckTellsWhatDoesNotFit(t *testing.T) {
	c := config.NATS{Embedded: t.TempDir(), Listen: "127.0.0.1:0", Stream: "CDC", MaxAge: time.Minute, HoldBack: 3 * time.Minute, Partitions: 1, Replicas: 1}
	d, err := New(c, "p", "s", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	wrong := d.Check(t.Context())
	if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "less than twice nats.hold_back") {
		t.Errorf("it says %v", wrong)
	}
}
