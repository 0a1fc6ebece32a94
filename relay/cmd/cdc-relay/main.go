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

	"github.com/pgcdc/cdc/relay"
	"github.com/pgcdc/cdc/relay/config"
)

const usage = `Usage: cdc-relay COMMAND [--config FILE] [OPTIONS] [TABLE...]

  run      carry changes until it is stopped (SIGTERM, SIGINT)
  check    look for what is missing or does not fit, and change nothing
  status   ask the relay that is running what it does (--watch: a line whenever that changes; admin.listen has a page, too)
  load     TABLE...: have the relay that is running load tables, again if they were
  grants   print the least GRANTs and the least ACLs or permissions (--only postgres, kafka or nats;
           --reading: what tail and replay-dead need at the bus, too)
  tail     print what is on the bus, from now on (--beginning: from the first message; --end: up to what is there now;
           --table SCHEMA.TABLE, more than once; -n EVENTS; --json: the JSON form)
  replay-dead  list the dead letters (--send: have the relay that is running send their rows as they are now)
  version  print the version
  config   print all settings with their defaults and variables (--table: in Markdown)

Settings are in FILE, in TOML; environment variables CDC_RELAY_... count before it.
`

// action is what a command does. It returns an error, or nil for exit status 0.
type action func(context.Context, *config.Config, io.Writer) error

// commands by name. Each may add options of its own.
var commands = map[string]func(*flag.FlagSet) action{
	"run": without(run), "check": without(check), "status": status, "grants": grants, "tail": tail, "load": loadTables, "replay-dead": replayDead,
}

// without is a command without options.
func without(a action) func(*flag.FlagSet) action { return func(*flag.FlagSet) action { return a } }

// withArguments are those that take more than options.
var withArguments = map[string]bool{"load": true}

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
	var do action
	if add := commands[args[0]]; add != nil {
		do = add(flags)
	}
	switch {
	case args[0] == "-h", args[0] == "--help", args[0] == "help":
		fmt.Fprint(stdout, usage)
		return 0
	case args[0] == "version" && len(args) == 1:
		fmt.Fprintln(stdout, "cdc-relay", relay.Version)
		return 0
	case args[0] == "config" && len(args) == 1:
		config.Print(stdout)
		return 0
	case args[0] == "config" && len(args) == 2 && args[1] == "--table":
		config.Table(stdout)
		return 0
	case do == nil, flags.Parse(args[1:]) != nil, flags.NArg() > 0 && !withArguments[args[0]]:
		fmt.Fprint(stderr, usage)
		return 2
	}
	c, err := config.Load(*file, environ)
	if err != nil {
		fmt.Fprintf(stderr, "cdc-relay: the settings are wrong:\n%v\n", err)
		return 2
	}
	if err := do(ctx, c, stdout); err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintf(stderr, "cdc-relay: %v\n", err)
		}
		return 1
	}
	return 0
}
