package live

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// guarded is a listener on which nobody may do what no ACL allows. Whoever comes by the other is the administrator.
const guarded = `listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s,GUARDED://%[3]s
advertised.listeners=PLAINTEXT://%[1]s,GUARDED://%[3]s
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT
listener.name.guarded.sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_relay="r";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
`

// guardedKafka gives a broker, and the address of its listener that asks for a password.
func guardedKafka(t *testing.T) (*realKafka, string) {
	address, controller, second := freePort(t), freePort(t), freePort(t)
	dir := t.TempDir()
	properties := fmt.Sprintf(serverProperties, address, controller, dir, address) + fmt.Sprintf(guarded, address, controller, second)
	return formatted(t, dir, []string{address}, properties), second
}

// allow does what the commands say that are printed.
func allow(t *testing.T, admin *kadm.Client, commands string) {
	t.Helper()
	option := regexp.MustCompile(`--([a-z-]+) ('[^']*'|[A-Za-z]+)`)
	n := 0
	for line := range strings.Lines(commands) {
		if !strings.HasPrefix(line, "kafka-acls.sh ") {
			continue
		}
		acls := kadm.NewACLs().AllowHosts("*")
		var operations []kadm.ACLOperation
		for _, o := range option.FindAllStringSubmatch(line, -1) {
			value := strings.Trim(o[2], "'")
			switch o[1] {
			case "allow-principal":
				acls.Allow(value)
			case "operation":
				var operation kadm.ACLOperation
				if err := operation.UnmarshalText([]byte(value)); err != nil {
					t.Fatal(err)
				}
				operations = append(operations, operation)
			case "topic":
				acls.Topics(value)
			case "transactional-id":
				acls.TransactionalIDs(value)
			case "resource-pattern-type":
				acls.ResourcePatternType(kadm.ACLPatternPrefixed)
			}
		}
		results, err := admin.CreateACLs(t.Context(), acls.Operations(operations...))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			n++
		}
	}
	if n == 0 {
		t.Fatalf("no ACL is in\n%s", commands)
	}
}

// A relay carries with the ACLs that the command prints, and says what it lacks before.
func TestGrantsSufficeKafka(t *testing.T) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	k, address := guardedKafka(t)
	const name = "relay_grants_kafka"
	conn := database(t, name, "INSERT INTO a SELECT g FROM generate_series(1001, 1100) g")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("r"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, name, &kafkaBroker{[]string{address}})
	r.env = []string{"CDC_RELAY_KAFKA_SASL=plain", "CDC_RELAY_KAFKA_USER=relay", "CDC_RELAY_KAFKA_PASSWORD_FILE=" + password,
		"CDC_RELAY_RELAY_SNAPSHOT=initial"}
	log := func() string { said, _ := os.ReadFile(r.log.Name()); return string(said) }
	r.start()
	await(t, "it is refused", func() bool { return strings.Contains(strings.ToLower(log()), "authoriz") })
	client, err := kgo.NewClient(kgo.SeedBrokers(k.brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	allow(t, kadm.NewClient(client), r.grants("kafka", "--reading"))
	if r.ended() {
		t.Fatalf("it has given up:\n%s", log())
	}
	carried := func(topic, op string, n int) func() bool {
		return func() bool {
			all, err := verify.Kafka(t.Context(), k.brokers, "cdc")
			n := n
			for i := range all {
				if m := &all[i]; m.Topic == topic && m.Get(bus.Op) == op && len(m.Value) > 0 {
					n--
				}
			}
			return err == nil && n <= 0
		}
	}
	await(t, "the rows are read", carried("cdc.public.a", bus.Read, 100))
	insert(t, conn, "INSERT INTO a VALUES (1), (2); INSERT INTO marker VALUES (1)")
	await(t, "all is carried", carried("cdc.public.marker", "INSERT", 1))
	r.reads("public.a", 102)
	r.stop()
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so: %s", what)
		}
	}
}
