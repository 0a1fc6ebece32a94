// Command orders prints orders as they are placed, from a topic that cdc-relay fills, as structs
// that were generated from the table. It needs the table
//
//	CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL,
//	    total numeric(12,2), placed timestamptz, tags text[]);
//	ALTER TABLE orders REPLICA IDENTITY FULL;
//
// and a slot with the option old = full. Where the topic is says one of
//
//	NATS=nats://127.0.0.1:4222 orders
//	KAFKA=127.0.0.1:9092 orders
//
// It begins with the first message, and passes over what comes twice.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/examples/typed/rows"
)

const topic = "cdc.public.orders"

// read gives every record of the topic to take, until ctx ends.
type read func(ctx context.Context, take func(*cdc.TopicRecord) error) error

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bus()(ctx, newPrinter().take); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func bus() read {
	if address := os.Getenv("KAFKA"); address != "" {
		return kafka(address)
	}
	return nats(os.Getenv("NATS"))
}

type printer struct {
	reader   *cdc.TopicReader
	progress cdc.TopicProgress
	orders   *cdc.Decoder[*rows.Orders]
}

func newPrinter() *printer {
	return &printer{reader: cdc.NewTopicReader(cdc.NewSchemaCache(cdc.Limits{})), orders: cdc.NewDecoder[*rows.Orders]()}
}

func (p *printer) take(record *cdc.TopicRecord) error {
	message, err := p.reader.Read(record)
	if err != nil {
		return err
	}
	isNew, err := p.progress.Take(message)
	if err != nil || !isNew || message.Kind != cdc.TopicChange {
		return err
	}
	switch message.Event.Op {
	case cdc.OpSchema:
		if message.Copy == 1 { // each partition has one
			fmt.Println("SCHEMA")
		}
		return nil
	case cdc.OpDelete:
		order, err := p.orders.Before(message.Event)
		return show("DELETE", order, err)
	default:
		order, err := p.orders.After(message.Event)
		return show(message.Op, order, err)
	}
}

func show(op string, order *rows.Orders, err error) error {
	if err == nil {
		fmt.Println(op, order.GetId(), order.GetCustomer(), order.GetTotal())
	}
	return err
}
