package live

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// kafkaBroker is one that stays, real or not.
type kafkaBroker struct{ brokers []string }

func (k *kafkaBroker) settings() string {
	return fmt.Sprintf("[kafka]\nbrokers = [\"%s\"]\ncreate_topics = true\npartitions = 4\nreplication = 1\ntransaction_events = 400\ntransaction_timeout = \"30s\"\n",
		strings.Join(k.brokers, `","`))
}

func (k *kafkaBroker) read(ctx context.Context) ([]bus.Message, error) {
	return verify.Kafka(ctx, k.brokers, "cdc")
}

func (k *kafkaBroker) disturb(*testing.T) {}
func (k *kafkaBroker) single() bool       { return false }

func TestCrashesKfake(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	crashes(t, "relay_kfake", &kafkaBroker{cluster.ListenAddrs()})
}
