package main

import (
	"context"
	"errors"
	"strings"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/lines"
)

// memory is a store for those that leave the position to the slot.
type memory struct{ c *cdc.Checkpoint }

func (m *memory) Load(context.Context) (*cdc.Checkpoint, error) { return m.c, nil }

func (m *memory) Save(_ context.Context, c *cdc.Checkpoint) error {
	saved := *c
	m.c = &saved
	return nil
}

// slot prints a slot's transactions. What was printed when a signal or an error comes is
// acknowledged, if that was asked for.
func (p *printer) slot(ctx context.Context) (err error) {
	config := cdc.Config{
		Conn: p.o.conn, Slot: p.o.slot, CreateSlot: p.o.create, Options: map[string]string{}, Compression: p.o.compression,
		Store: &memory{}, ReadOnly: !p.o.ack, OnFailure: cdc.PolicyPass, Logger: p.log,
	}
	for _, option := range p.o.plugin {
		name, value, _ := strings.Cut(option, "=")
		config.Options[name] = value
	}
	if p.o.fetch {
		config.Transport = cdc.TransportFetch
	}
	stream, err := cdc.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := stream.Close(); closeErr != nil && (err == nil || errors.Is(err, lines.ErrEnough) || ctx.Err() != nil) {
			err = closeErr
		}
	}()
	for {
		txn, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		err = p.txn(txn)
		if flushErr := p.out.Flush(); err == nil || errors.Is(err, lines.ErrEnough) && flushErr != nil {
			err = flushErr
		}
		if err != nil {
			return err
		}
		stream.Ack(txn)
		if p.lines.Enough() {
			return nil
		}
	}
}

// txn prints a transaction as its parts would be printed.
func (p *printer) txn(txn *cdc.Txn) error {
	var last cdc.Batch
	for b, err := range txn.Batches() {
		if err != nil {
			return err
		}
		for c := b.Events(); c.Next(); {
			if err := p.lines.Event(c.Event()); err != nil {
				return err
			}
		}
		last = *b
	}
	if txn.IsMessage || p.lines.Enough() {
		return nil
	}
	last.HasTransaction, last.Transaction, last.Outcome = true, txn.Transaction, txn.Outcome
	last.EndLSN, last.EventCount = txn.EndLSN, uint64(txn.Len())
	return p.lines.Outcome(&last)
}
