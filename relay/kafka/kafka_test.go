package kafka

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

func settings(brokers []string) config.Kafka {
	return config.Kafka{Brokers: brokers, Create: true, Partitions: 1, Replication: 1, Compression: "lz4", SASL: "none", Transactions: true, TransactionLimit: 10 * time.Second}
}

// reaches tells whether the bus can be claimed with these settings.
func reaches(t *testing.T, c config.Kafka) error {
	t.Helper()
	d, err := New(c, "p", "s", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		return err
	}
	b, err := d.Open(t.Context(), bus.Events{})
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = b.Claim(t.Context())
	return err
}

func TestSASLWithMutualTLS(t *testing.T) {
	certs := verify.NewCerts(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "relay", "secret"),
		kfake.Superuser("PLAIN", "relay", "secret"), kfake.TLS(certs.Server(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := settings(cluster.ListenAddrs())
	good.CA, good.Cert, good.Key = certs.CA, certs.Cert, certs.Key
	good.SASL, good.User, good.PasswordFile = "scram-sha-512", "relay", password
	if err := reaches(t, good); err != nil {
		t.Fatal(err)
	}
	plain := good
	plain.SASL = "plain"
	if err := reaches(t, plain); err != nil {
		t.Error(err)
	}
	other := good
	other.User = "other"
	if err := reaches(t, other); err == nil {
		t.Error("another user was let in")
	}
	unknown := good
	unknown.CA, unknown.TLS = "", true
	if err := reaches(t, unknown); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the certificate of an unknown authority: %v", err)
	}
}

func TestMissingTopic(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	c := settings(cluster.ListenAddrs())
	c.Create = false
	if err := reaches(t, c); err == nil || !strings.Contains(err.Error(), "there is no topic p.checkpoints: make it, or set kafka.create_topics") {
		t.Errorf("the error is %v", err)
	}
}

func TestCheckTellsWhatDoesNotFit(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	c := settings(cluster.ListenAddrs())
	c.Tombstones = true
	d, err := New(c, "p", "s", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if wrong := d.Check(t.Context()); len(wrong) != 0 {
		t.Errorf("before there is anything: %v", wrong)
	}
	b, err := d.Open(t.Context(), bus.Events{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if n, err := b.Partitions(t.Context(), "p.public.t"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if wrong := d.Check(t.Context()); len(wrong) != 0 {
		t.Errorf("what the relay has made: %v", wrong)
	}
	d.config.Tombstones = false
	wrong := d.Check(t.Context())
	if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "p.public.t is compacted, but kafka.tombstones is false") {
		t.Errorf("it says %v", wrong)
	}
}
