package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgcdc/cdc/clients/go"
)

// memory is a store for those that acknowledge nothing, or leave it to the slot.
type memory struct{ c *cdc.Checkpoint }

func (m *memory) Load(context.Context) (*cdc.Checkpoint, error) { return m.c, nil }

func (m *memory) Save(_ context.Context, c *cdc.Checkpoint) error {
	saved := *c
	m.c = &saved
	return nil
}

func (p *printer) slot(ctx context.Context) error {
	plugin := map[string]string{}
	for _, option := range p.o.plugin {
		name, value, ok := strings.Cut(option, "=")
		if !ok {
			return fmt.Errorf("option %q is not name=value", option)
		}
		plugin[name] = value
	}
	transport := cdc.TransportReplication
	if p.o.fetch {
		transport = cdc.TransportFetch
	}
	stream, err := cdc.Open(ctx, cdc.Config{
		Conn: p.o.conn, Transport: transport, Slot: p.o.slot, Options: plugin, Store: &memory{}, OnFailure: cdc.Skip,
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
		err = p.txn(txn)
		if flushErr := p.out.Flush(); err == nil || err == errEnough && flushErr != nil {
			err = firstOf(flushErr, err)
		}
		if p.o.ack && (err == nil || err == errEnough) {
			stream.Ack(txn)
		}
		if err != nil {
			return err
		}
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// txn prints a transaction as its parts would be printed.
func (p *printer) txn(txn *cdc.Txn) error {
	var last cdc.Batch
	for b, err := range txn.Batches() {
		if err != nil {
			return err
		}
		for c := b.Events(); c.Next(); {
			if err := p.event(c.Event()); err != nil {
				return err
			}
		}
		last = *b
	}
	if txn.IsMessage {
		return nil
	}
	last.HasTransaction, last.Transaction, last.Outcome = true, txn.Transaction, txn.Outcome
	last.EndLSN, last.EventCount = txn.EndLSN, uint64(txn.Len())
	return p.outcome(&last)
}
