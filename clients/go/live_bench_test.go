package cdc_test

import (
	"context"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// BenchmarkLiveStream reads a backlog of ten mixed columns from the server, every
// value of it. The server decodes at the same time, on the same machine.
func BenchmarkLiveStream(b *testing.B) {
	d := live(b)
	d.exec(`CREATE TABLE wide (id bigint PRIMARY KEY, a int, b text, c numeric, d timestamptz, e bool, f float8, g uuid, h text, i date)`)
	config := d.config(b)
	if err := d.open(config).Close(); err != nil {
		b.Fatal(err)
	}
	const rows = 200_000
	for range 4 {
		d.exec(`INSERT INTO wide SELECT i + (SELECT count(*) FROM wide), i, 'text of some', i / 7.0, now(), i % 2 = 0, i / 3.0, md5(i::text)::uuid, 'and another text', '2020-01-01'
			FROM generate_series(1, 50000) i`)
	}
	for b.Loop() {
		start := time.Now()
		config := config
		config.Store = cdc.FileStore(b.TempDir() + "/checkpoint") // from the slot's position again
		stream := d.open(config)
		events, values := 0, 0
		for events < rows {
			txn, err := stream.Next(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			for e, err := range txn.Events() {
				if err != nil {
					b.Fatal(err)
				}
				for _, row := range [...]cdc.Row{e.Key, e.New} {
					for c := row.Values(); c.Next(); {
						values++
					}
				}
				events++
			}
		}
		if values != 10*rows {
			b.Fatal(values)
		}
		b.ReportMetric(rows/time.Since(start).Seconds(), "events/s")
		if err := stream.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
