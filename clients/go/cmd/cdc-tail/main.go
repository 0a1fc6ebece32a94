// Command cdc-tail prints the changes of a file or of a replication slot.
//
//	cdc-tail --file changes.pb          a file of pg_recvlogical, or batches with
//	                                    their lengths in front; - is standard input
//	cdc-tail --slot s --conninfo URL    a slot, by default of the PG* environment
//
// With --json it prints the JSON form, one line for each event and outcome.
// Reading a slot acknowledges nothing unless --ack is given.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var o options
	flag.StringVar(&o.file, "file", "", "read this file, - for standard input")
	flag.BoolVar(&o.follow, "follow", false, "with --file: wait for more at its end")
	flag.StringVar(&o.slot, "slot", "", "read this replication slot")
	flag.StringVar(&o.conn, "conninfo", "", "connection string or URL")
	flag.BoolVar(&o.fetch, "fetch", false, "with --slot: read by cdc.fetch(), for roles without REPLICATION")
	flag.Var(&o.plugin, "option", "option for the plugin, name=value; may be repeated")
	flag.BoolVar(&o.ack, "ack", false, "with --slot: acknowledge what has been printed")
	flag.BoolVar(&o.json, "json", false, "print the JSON form")
	flag.Var(&o.tables, "table", "print only this relation, schema.name; may be repeated")
	flag.IntVar(&o.limit, "n", 0, "stop after this many transactions")
	flag.Parse()
	if flag.NArg() > 0 || (o.file == "") == (o.slot == "") {
		fmt.Fprintln(os.Stderr, "usage: cdc-tail --file FILE | --slot SLOT [--conninfo URL] [--json]")
		flag.PrintDefaults()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	out := bufio.NewWriter(os.Stdout)
	p := newPrinter(out, o)
	err := p.run(ctx, o)
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	stop()
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "cdc-tail:", err)
		os.Exit(1)
	}
}
