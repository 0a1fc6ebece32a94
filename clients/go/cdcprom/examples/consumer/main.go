// Command consumer is a consumer with metrics: it prints the changes of a slot, sets aside what it
// cannot handle, and shows Prometheus how it does. The source is where the PG* environment points to.
//
//	consumer -slot shop -listen 127.0.0.1:9181 -letters /var/lib/shop/letters -versions public.orders=1
//	curl -s 127.0.0.1:9181/metrics | grep ^cdc_
//
// To try alerts out before they are needed: an order whose total is below 0 becomes a dead letter,
// and -work has each event take that long. See docs/operations.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdcprom"
)

type options struct {
	slot, listen, letters, checkpoint string
	work                              time.Duration
	versions                          map[string]uint32
}

func main() {
	o := options{versions: map[string]uint32{}}
	flag.StringVar(&o.slot, "slot", "shop", "the replication slot; it is made if there is none")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:9181", "where /metrics is")
	flag.StringVar(&o.letters, "letters", ".", "folder of dead letters")
	flag.StringVar(&o.checkpoint, "checkpoint", "shop.checkpoint", "file that keeps the position")
	flag.DurationVar(&o.work, "work", 0, "how long each event takes")
	flag.Func("versions", "TABLE=VERSION: the version of a registered table that is expected", o.version)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func (o *options) version(text string) error {
	table, number, _ := strings.Cut(text, "=")
	version, err := strconv.ParseUint(number, 10, 32)
	o.versions[table] = uint32(version)
	return err
}

func run(ctx context.Context, o *options) error {
	// The label tells consumers apart; the server's own metrics have it, too.
	metrics := cdcprom.New(prometheus.Labels{"slot": o.slot})
	if err := show(ctx, o.listen, metrics); err != nil {
		return err
	}
	stream, err := cdc.Open(ctx, cdc.Config{
		Slot: o.slot, CreateSlot: true, Options: map[string]string{"messages": "cdc.heartbeat"}, // what always comes, if somebody writes it
		Store: cdc.FileStore(o.checkpoint), Metrics: metrics, Logger: slog.Default(),
		DeadLetters: cdc.DeadLetterDir(o.letters), OnHandlerError: cdc.PolicyDeadLetter, OnFailure: cdc.PolicyDeadLetter,
		Versions: o.versions, OnVersion: cdc.PolicyPass, // columns are looked up by their names here: counting will do
	})
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		txn, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		for event, err := range txn.Events() {
			if err != nil {
				return err
			}
			if err := handle(event); err != nil {
				if err := stream.RejectEvent(ctx, event, err); err != nil {
					return err
				}
			}
			time.Sleep(o.work)
		}
		stream.Ack(txn)
	}
}

// show answers Prometheus until ctx ends.
func show(ctx context.Context, address string, metrics *cdcprom.Metrics) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Print(err)
		}
	}()
	return nil
}

// handle is what becomes of an event: a row that cannot be right is an error.
func handle(event *cdc.Event) error {
	table := event.Table()
	if table == nil || event.Op == cdc.OpSchema {
		return nil
	}
	row, err := table.Values(event.New)
	if err != nil {
		return err
	}
	if total, ok := row["total"]; ok && strings.HasPrefix(fmt.Sprint(total), "-") {
		return fmt.Errorf("an order of %v", total)
	}
	fmt.Println(event.Position(), event.Op, table)
	return nil
}
