package pump

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
	"github.com/pgcdc/cdc/relay/jetstream"
	"github.com/pgcdc/cdc/relay/kafka"
)

// permissions are those that a relay asks for.
func permissions(c config.NATS) *server.Permissions {
	publish, subscribe := jetstream.Permissions(&c, "p", false)
	return &server.Permissions{Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe}}
}

func TestLeastPermissions(t *testing.T) {
	s := verify.NATSServer(t, &server.Options{Users: []*server.User{{Username: "admin", Password: "a"}, {Username: "relay", Password: "r", Permissions: permissions(config.NATS{Stream: "CDC"})}}})
	port := s.Addr().String()
	admin := settings
	admin.URL, admin.Create = "nats://admin:a@"+port, true
	d, err := jetstream.New(admin, "p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	if wrong := d.Check(t.Context()); len(wrong) > 0 { // makes the stream
		t.Fatal(wrong)
	}
	relay := settings
	relay.URL = "nats://relay:r@" + port
	if d, err = jetstream.New(relay, "p", "s", logger(t)); err != nil {
		t.Fatal(err)
	}
	source := cdctest.NewSource("s")
	n := workload(source)
	carried(t, source, newPump(t, source, d))
	check(t, target{d, true, func(t *testing.T) []bus.Message {
		all, err := verify.JetStream(t.Context(), fmt.Sprintf("nats://admin:a@%s", port), "CDC")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}}, n)
}

// acls are those that a relay asks for, as the imitation has them.
func acls(t *testing.T) (list []kfake.ACL) {
	t.Helper()
	for _, a := range kafka.ACLs(&config.Kafka{Create: true, Transactions: true}, "p", "s", false) {
		resource, err := kmsg.ParseACLResourceType(a.Resource)
		if err != nil {
			t.Fatal(err)
		}
		pattern := kmsg.ACLResourcePatternTypeLiteral
		if a.Prefixed {
			pattern = kmsg.ACLResourcePatternTypePrefixed
		}
		for _, name := range a.Operations {
			operation, err := kmsg.ParseACLOperation(name)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, kfake.ACL{Resource: resource, Name: a.Name, Pattern: pattern, Operation: operation, Allow: true})
		}
	}
	return list
}

func TestLeastACLs(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(), kfake.User("SCRAM-SHA-256", "relay", "secret", acls(t)...))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := kafka.New(config.Kafka{Transactions: true, Brokers: cluster.ListenAddrs(), Create: true, Partitions: 3, Replication: 1, Compression: "none", SASL: "scram-sha-256",
		User: "relay", PasswordFile: password, TransactionWait: 20 * time.Millisecond, TransactionTime: 20 * time.Millisecond, TransactionBytes: 1 << 20, TransactionEvents: 50, TransactionLimit: 10 * time.Second},
		"p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	source := cdctest.NewSource("s")
	workload(source)
	carried(t, source, newPump(t, source, d))
}
