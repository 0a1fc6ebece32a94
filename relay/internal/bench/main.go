// Command bench writes rows and reads them from a bus, on one clock. bench/relay uses it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// settings are where to write and read, and how much.
type settings struct {
	conn, kafka, nats, stream, topics string
	rate, seconds, payload, writers   int
	events                            int
	ddl                               bool
}

func main() {
	var s settings
	flag.StringVar(&s.conn, "conn", "", "connection string of the database")
	flag.StringVar(&s.kafka, "kafka", "", "address of a broker")
	flag.StringVar(&s.nats, "nats", "", "URL of a server")
	flag.StringVar(&s.stream, "stream", "CDC", "its stream")
	flag.StringVar(&s.topics, "topics", "", "regular expression of topics of Kafka")
	flag.IntVar(&s.events, "events", 0, "read so many messages from the beginning, and write none")
	flag.IntVar(&s.rate, "rate", 1000, "transactions a second")
	flag.IntVar(&s.seconds, "seconds", 5, "of the measurement, behind two that do not count")
	flag.IntVar(&s.payload, "payload", 100, "bytes of a row")
	flag.IntVar(&s.writers, "writers", 2, "sessions")
	flag.BoolVar(&s.ddl, "ddl", false, "change the schema ten times a second")
	flag.Parse()
	work := latency
	if s.events > 0 {
		work = count
	}
	if err := work(context.Background(), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// marks stand in rows as they are in every form of a message.
const (
	marker     = "@@cdc-bench-"
	markDigits = 12
	warmUp     = 2 // seconds
	patience   = 30 * time.Second
)

func mark(i int) string { return fmt.Sprintf("%s%0*d", marker, markDigits, i) }

// marked finds the number in a message.
func marked(value []byte) (int, bool) {
	at := bytes.Index(value, []byte(marker))
	if at < 0 || len(value) < at+len(marker)+markDigits {
		return 0, false
	}
	n, err := strconv.Atoi(string(value[at+len(marker) : at+len(marker)+markDigits]))
	return n, err == nil
}

// measured is what is told of a run.
type measured struct {
	Transactions int     `json:"transactions"`
	Rate         float64 `json:"rate"`
	P50          float64 `json:"p50"`
	P99          float64 `json:"p99"`
	Longest      float64 `json:"longest"`
	Lost         int     `json:"lost"`
}

// latency is from just before a COMMIT is sent until a consumer has the row, in milliseconds.
func latency(ctx context.Context, s *settings) error {
	total := s.rate * (warmUp + s.seconds)
	committed, received := make([]atomic.Int64, total), make([]atomic.Int64, total)
	var missing atomic.Int64
	missing.Store(int64(total))
	reading, stop := context.WithCancel(ctx)
	defer stop()
	began := time.Now()
	ready, err := read(reading, s, false, func(value []byte) {
		if n, ok := marked(value); ok && n < total && received[n].CompareAndSwap(0, int64(time.Since(began))) {
			missing.Add(-1)
		}
	})
	if err != nil {
		return err
	}
	<-ready
	ended, err := write(ctx, s, total, func(n int) { committed[n].Store(int64(time.Since(began))) })
	if err != nil {
		return err
	}
	for end := time.Now().Add(patience); missing.Load() > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	m := measured{Transactions: s.rate * s.seconds, Rate: float64(total) / ended.Seconds()}
	var all []float64
	for i := s.rate * warmUp; i < total; i++ {
		if at := received[i].Load(); at != 0 {
			all = append(all, float64(at-committed[i].Load())/1e6)
		} else {
			m.Lost++
		}
	}
	slices.Sort(all)
	if n := len(all); n > 0 {
		m.P50, m.P99, m.Longest = all[n/2], all[n*99/100], all[n-1]
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// count reads so many rows, and tells how long that took.
func count(ctx context.Context, s *settings) error {
	reading, stop := context.WithTimeout(ctx, 10*time.Minute)
	defer stop()
	began := time.Now()
	var n atomic.Int64
	var once sync.Once
	done := make(chan struct{})
	if _, err := read(reading, s, true, func([]byte) {
		if n.Add(1) >= int64(s.events) {
			once.Do(func() { close(done) })
		}
	}); err != nil {
		return err
	}
	select {
	case <-done:
	case <-reading.Done():
		return fmt.Errorf("%d of %d messages have come", n.Load(), s.events)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"events": n.Load(), "seconds": time.Since(began).Seconds()})
}
