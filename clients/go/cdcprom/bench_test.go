package cdcprom

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
)

// used is the CPU that the process has used, which others on the machine disturb less than the time.
func used(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkStream is a stream from memory to acknowledged, without metrics and with those of Prometheus, for
// transactions of one event and of many: what metrics cost is for each batch and each transaction.
func BenchmarkStream(b *testing.B) {
	for _, events := range []int{1, 100} {
		ids := make([]string, events)
		for i := range ids {
			ids[i] = fmt.Sprint("id of a row ", i)
		}
		for name, metrics := range map[string]cdc.Metrics{"none": nil, "prometheus": New(prometheus.Labels{"slot": "s"})} {
			b.Run(fmt.Sprintf("events=%d/%s", events, name), func(b *testing.B) {
				source := cdctest.NewSource("s")
				for range b.N {
					source.Insert("public", "t", ids...)
				}
				b.ReportAllocs()
				runtime.GC()
				before := used(b)
				b.ResetTimer()
				stream, err := cdc.Open(context.Background(), cdc.Config{Connector: source, Slot: "s", Metrics: metrics,
					Store: cdc.FileStore(filepath.Join(b.TempDir(), "checkpoint"))})
				if err != nil {
					b.Fatal(err)
				}
				for range b.N {
					txn, err := stream.Next(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					stream.Ack(txn)
				}
				b.StopTimer()
				b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
				_ = stream.Close()
			})
		}
	}
}
