// Command typed prints orders as they are placed, from structs that were
// generated from the table. It needs the table
//
//	CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL,
//	    total numeric(12,2), placed timestamptz, tags text[]);
//	ALTER TABLE orders REPLICA IDENTITY FULL;
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/examples/typed/rows"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	stream, err := cdc.Open(ctx, cdc.Config{ // where: PGHOST, PGDATABASE, ...
		Slot: "orders", CreateSlot: true,
		Options: map[string]string{"tables": "public.orders", "old": "full"},
		Store:   cdc.FileStore("orders.checkpoint"),
	})
	if err != nil {
		return err
	}
	defer stream.Close()
	orders := cdc.NewDecoder[*rows.Orders]()
	for {
		txn, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		for event, err := range txn.Events() {
			if err != nil {
				return err
			}
			if event.Op == cdc.OpSchema {
				continue // the table was altered: rows say what they have
			}
			order, err := orders.After(event)
			if err != nil {
				return err
			}
			fmt.Println(event.Op, order.GetId(), order.GetCustomer(), order.GetTotal(), order.GetTags().GetValues())
		}
		stream.Ack(txn)
	}
}
