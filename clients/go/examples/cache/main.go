// Command cache keeps tables in memory and answers for them over HTTP: it loads
// them, then follows the stream. The source is where the PG* environment points to.
//
//	cache public.orders &
//	curl localhost:8080/public.orders?customer=ada
//
// What it has is gone with the process, so that it begins anew with a slot of its
// own each time.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"

	"github.com/pgcdc/cdc/clients/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

// cache is the state and what protects it.
type cache struct {
	sync.RWMutex
	state *cdc.MemoryState
}

func run(ctx context.Context, tables []string) error {
	dir, err := os.MkdirTemp("", "cache-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	slot := fmt.Sprintf("cache_%d", os.Getpid())
	stream, err := cdc.Open(ctx, cdc.Config{
		Slot: slot, CreateSlot: true, Store: cdc.FileStore(filepath.Join(dir, "checkpoint")),
	})
	if err != nil {
		return err
	}
	defer func() {
		_ = stream.Close()
		if err := cdc.DropSlot(context.Background(), "", slot); err != nil {
			log.Print(err)
		}
	}()
	c := &cache{state: cdc.NewMemoryState()}
	applier := cdc.NewApplier(c.state)
	loader := &cdc.Loader{Slot: slot, Tables: tables, Progress: cdc.ProgressFile(filepath.Join(dir, "progress"))}
	defer loader.Close(context.Background())
	if err := loader.Run(ctx, applier); err != nil {
		return err
	}
	server := &http.Server{Addr: "localhost:8080", Handler: c}
	go func() { log.Print(server.ListenAndServe()) }()
	defer server.Close()
	for {
		txn, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		c.Lock()
		err = applier.Apply(ctx, txn)
		c.Unlock()
		if err != nil {
			return err
		}
		stream.Ack(txn)
	}
}

// ServeHTTP gives the rows of a table whose columns have the values that the query
// asks for.
func (c *cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.RLock()
	defer c.RUnlock()
	relation := r.URL.Path[1:]
	schema, err := c.state.Schema(r.Context(), relation)
	if err != nil || schema == nil {
		http.NotFound(w, r)
		return
	}
	table, err := cdc.ParseTable(schema, cdc.Limits{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	err = c.state.Scan(r.Context(), relation, func(_ []byte, row cdc.Row) error {
		line, err := table.AppendJSON(nil, row)
		if err != nil {
			return err
		}
		var values map[string]any
		if err := json.Unmarshal(line, &values); err != nil {
			return err
		}
		for name, want := range r.URL.Query() {
			if fmt.Sprint(values[name]) != want[0] {
				return nil
			}
		}
		_, err = w.Write(append(line, '\n'))
		return err
	})
	if err != nil {
		log.Print(err)
	}
}
