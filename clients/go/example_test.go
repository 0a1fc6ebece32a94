package cdc_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/pgcdc/cdc/clients/go"
)

func ExampleOpen() {
	ctx := context.Background()
	stream, err := cdc.Open(ctx, cdc.Config{
		Conn: "postgres://cdc@db.example.com/shop?sslmode=verify-full", Slot: "orders",
		Store:       cdc.FileStore("/var/lib/shop/orders.checkpoint"),
		OnFailure:   cdc.PolicyDeadLetter,
		DeadLetters: cdc.DeadLetterDir("/var/lib/shop/letters"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	for {
		txn, err := stream.Next(ctx)
		if err != nil {
			log.Fatal(err)
		}
		for event, err := range txn.Events() {
			if err != nil {
				log.Fatal(err)
			}
			values, err := event.Table().Values(event.New)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(event.Position(), event.Op, event.Table(), values)
		}
		stream.Ack(txn)
	}
}

func ExampleFileReader() {
	file, err := os.Open("../../test/golden/empty.pb")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	reader := cdc.NewFileReader(file, cdc.Limits{})
	schemas := cdc.NewSchemaCache(cdc.Limits{})
	events := 0
	for {
		raw, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		batch, err := cdc.ParseBatch(bytes.Clone(raw), schemas)
		if err != nil {
			log.Fatal(err)
		}
		events += batch.Len()
	}
	fmt.Println(events > 0)
	// Output: true
}

func ExampleOverlay() {
	// id = 1, name = "ada"; then the name is changed.
	before := cdc.Row("\x08\x02\x12\x03ada")
	delta := cdc.Row("\x12\x03eve")
	after, err := cdc.Overlay(nil, before, delta, nil)
	fmt.Printf("%q %v\n", after, err)
	// Output: "\b\x02\x12\x03eve" <nil>
}

func ExampleParsePosition() {
	p, err := cdc.ParsePosition("16/B374D848/16/0374D700/3")
	fmt.Println(p.CommitLSN, p.LSN, p.Index, err)
	// Output: 16/B374D848 16/374D700 3 <nil>
}
