// Command cdc-relay carries the changes of one replication slot onto NATS JetStream or
// Apache Kafka.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/pgcdc/cdc/relay/config"
)

const usage = `Usage: cdc-relay COMMAND [--config FILE]

  run      carry changes until it is stopped (SIGTERM, SIGINT)
  check    look for what is missing or does not fit, and change nothing
  status   ask the relay that is running what it does
  config   print all settings with their defaults and variables (--table: in Markdown)

Settings are in FILE, in TOML; environment variables CDC_RELAY_... count before it.
`

// commands by name. Each returns an error, or nil for exit status 0.
var commands = map[string]func(context.Context, *config.Config, io.Writer) error{
	"run": run, "check": check, "status": status,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := command(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errReported is an error that was told already.
var errReported = errors.New("")

// command gives the exit status: 1 after an error, 2 when it is called wrongly.
func command(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	flags := flag.NewFlagSet("cdc-relay "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	file := flags.String("config", "", "file with the settings")
	f := commands[args[0]]
	switch {
	case args[0] == "-h", args[0] == "--help", args[0] == "help":
		fmt.Fprint(stdout, usage)
		return 0
	case args[0] == "config" && len(args) == 1:
		config.Print(stdout)
		return 0
	case args[0] == "config" && len(args) == 2 && args[1] == "--table":
		config.Table(stdout)
		return 0
	case f == nil, flags.Parse(args[1:]) != nil, flags.NArg() > 0:
		fmt.Fprint(stderr, usage)
		return 2
	}
	c, err := config.Load(*file, environ)
	if err != nil {
		fmt.Fprintf(stderr, "cdc-relay: the settings are wrong:\n%v\n", err)
		return 2
	}
	if err := f(ctx, c, stdout); err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintf(stderr, "cdc-relay: %v\n", err)
		}
		return 1
	}
	return 0
}
