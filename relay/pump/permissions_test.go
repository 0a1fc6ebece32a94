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

// What docs/relay.md says that the relay's user needs, where somebody else makes the stream.
var least = &server.Permissions{
	Publish: &server.SubjectPermission{Allow: []string{"p.>", "$KV.CDC_checkpoint.>", "$JS.API.STREAM.INFO.CDC", "$JS.API.STREAM.MSG.GET.CDC",
		"$JS.API.STREAM.INFO.KV_CDC_checkpoint", "$JS.API.DIRECT.GET.KV_CDC_checkpoint.>"}},
	Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
}

func TestLeastPermissions(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Users: []*server.User{{Username: "admin", Password: "a"}, {Username: "relay", Password: "r", Permissions: least}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
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
	stop := running(t, newPump(t, source, d))
	confirmed(t, source)
	if err := stop(); err != nil {
		t.Error(err)
	}
	check(t, target{d, true, func(t *testing.T) []bus.Message {
		all, err := verify.JetStream(t.Context(), fmt.Sprintf("nats://admin:a@%s", port), "CDC")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}}, n)
}

// What docs/relay.md says that the relay's user needs of Kafka, as far as the imitation knows.
func acls() (list []kfake.ACL) {
	allow := func(resource kmsg.ACLResourceType, name string, pattern kmsg.ACLResourcePatternType, operations ...kmsg.ACLOperation) {
		for _, o := range operations {
			list = append(list, kfake.ACL{Resource: resource, Name: name, Pattern: pattern, Operation: o, Allow: true})
		}
	}
	allow(kmsg.ACLResourceTypeTopic, "p.", kmsg.ACLResourcePatternTypePrefixed, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe,
		kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationCreate)
	allow(kmsg.ACLResourceTypeTopic, "p.checkpoints", kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLOperationRead)
	allow(kmsg.ACLResourceTypeTransactionalId, "cdc-relay.p.s", kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe)
	return list
}

func TestLeastACLs(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(), kfake.User("SCRAM-SHA-256", "relay", "secret", acls()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := kafka.New(config.Kafka{Brokers: cluster.ListenAddrs(), Create: true, Partitions: 3, Replication: 1, Compression: "none", SASL: "scram-sha-256",
		User: "relay", PasswordFile: password, TransactionTime: 20 * time.Millisecond, TransactionBytes: 1 << 20, TransactionEvents: 50, TransactionLimit: 10 * time.Second},
		"p", "s", logger(t))
	if err != nil {
		t.Fatal(err)
	}
	source := cdctest.NewSource("s")
	workload(source)
	stop := running(t, newPump(t, source, d))
	confirmed(t, source)
	if err := stop(); err != nil {
		t.Error(err)
	}
}
