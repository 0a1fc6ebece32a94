package pump

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/jetstream"
)

// BenchmarkJetStream carries events, 100 a transaction, into a server in this process.
func BenchmarkJetStream(b *testing.B) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	d, err := jetstream.New(config.NATS{Embedded: b.TempDir(), Listen: "127.0.0.1:0", Stream: "CDC", Partitions: 1, Replicas: 1, InFlight: 16 << 20}, "p", "s", quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	source := cdctest.NewSource("s")
	ids := make([]string, 100)
	for i := range ids {
		ids[i] = strconv.Itoa(i) + fmt.Sprintf("%050d", i)
	}
	for range b.N/100 + 1 {
		source.Insert("public", "t", ids...)
	}
	p := newPump(b, source, d)
	p.Plan.Keyed, p.Logger, p.Plan.Logger = false, quiet, quiet
	b.ResetTimer()
	stop := running(b, p)
	for {
		if status, _ := source.Status(); uint64(status.Flushed) >= 0x1000+uint64(b.N/100)*0x200+0x130 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	if err := stop(); err != nil {
		b.Error(err)
	}
}
