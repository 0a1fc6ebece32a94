// Command cdc-tail prints the changes of a file or of a replication slot.
//
//	cdc-tail --file changes.pb          a file of pg_recvlogical, or batches with
//	                                    their lengths in front; - is standard input
//	cdc-tail --slot s --conninfo URL    a slot, by default of the PG* environment
//
// With --json it prints the JSON form, one line for each event and outcome.
// Reading a slot acknowledges nothing and does not move it unless --ack is given.
//
// Exit codes: 0 at the end of a file, after -n events, on SIGINT and SIGTERM, and when
// whoever reads the output has had enough; 1 with a message after an error; 2 when it is
// called wrongly.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/pgcdc/cdc/clients/go"
)

const usage = `usage: cdc-tail --file FILE [--follow]
       cdc-tail --slot SLOT [--conninfo CONNINFO] [--ack]
       cdc-tail --version

`

func main() {
	signal.Ignore(syscall.SIGPIPE) // an error of the write instead
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	file, slot, conn  string
	follow, ack, json bool
	fetch, create     bool
	version           bool
	compression       string
	limit             uint64
	tables            list
	plugin            list
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// parse gives the options of the command line, or what is wrong with it.
func parse(args []string) (o options, flags *flag.FlagSet, err error) {
	flags = flag.NewFlagSet("cdc-tail", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.file, "file", "", "read this file, - for standard input")
	flags.BoolVar(&o.follow, "follow", false, "with --file: wait for more at its end")
	flags.StringVar(&o.slot, "slot", "", "read this replication slot, until interrupted")
	flags.StringVar(&o.conn, "conninfo", "", "connection string or URL; what it lacks comes from PGHOST and so on")
	flags.BoolVar(&o.fetch, "fetch", false, "with --slot: read by cdc.fetch(), for roles without REPLICATION")
	flags.BoolVar(&o.create, "create", false, "with --slot: create it if it does not exist")
	flags.Var(&o.plugin, "option", "option for the plugin, name=value; may be repeated")
	flags.StringVar(&o.compression, "compression", "", "have the server compress batches: lz4 or zstd")
	flags.BoolVar(&o.ack, "ack", false, "with --slot: acknowledge what has been printed")
	flags.BoolVar(&o.json, "json", false, "print the JSON form")
	flags.Var(&o.tables, "table", "print only this relation, schema.name; may be repeated")
	flags.BoolVar(&o.version, "version", false, "print the version")
	flags.Uint64Var(&o.limit, "n", 0, "stop after this many events")
	switch err = flags.Parse(args); {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case !o.version && (o.file == "") == (o.slot == ""):
		err = errors.New("either --file or --slot is needed")
	}
	for _, option := range o.plugin {
		if !strings.Contains(option, "=") && err == nil {
			err = fmt.Errorf("option %q is not name=value", option)
		}
	}
	return o, flags, err
}

// run is the program; it gives the exit code.
func run(args []string, stdout *os.File, stderr io.Writer) int {
	o, flags, err := parse(args)
	if err != nil {
		to, code := stderr, 2
		if errors.Is(err, flag.ErrHelp) {
			to, code = stdout, 0
		} else {
			fmt.Fprintf(to, "cdc-tail: %v\n", err)
		}
		fmt.Fprint(to, usage)
		flags.SetOutput(to)
		flags.PrintDefaults()
		return code
	}
	if o.version {
		fmt.Fprintln(stdout, "cdc-tail", cdc.Version)
		return 0
	}
	ctx, stop := context.Background(), func() {}
	if o.slot != "" || o.follow && o.file != "-" { // reading of a file is not interrupted
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	}
	defer stop()
	out := bufio.NewWriter(stdout)
	p := newPrinter(out, stdout, o)
	p.log = slog.New(warnings{slog.NewTextHandler(stderr, nil)})
	err = p.run(ctx)
	// what came before an error is printed
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	if err == nil || errors.Is(err, syscall.EPIPE) || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return 0
	}
	fmt.Fprintln(stderr, "cdc-tail:", strings.TrimPrefix(err.Error(), "cdc: "))
	return 1
}

// warnings leaves out what is returned as an error anyway.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(_ context.Context, l slog.Level) bool { return l == slog.LevelWarn }
