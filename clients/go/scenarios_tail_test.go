package cdc_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

var _ = addScenarios(map[string]func(*testing.T){
	"tail-usage":     tailUsage,
	"tail-errors":    tailErrors,
	"tail-count":     tailCount,
	"tail-count-ack": tailCountAck,
	"tail-signal":    tailSignal,
	"tail-pipe":      tailPipe,
	"tail-times":     tailTimes,
})

// result of a program.
type result struct {
	stdout, stderr string
	code           int
}

func outcome(t *testing.T, command *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(30*time.Second, func() { _ = command.Process.Kill() })
	defer stuck.Stop()
	err := command.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// end ends a program with a signal, which must succeed soon.
func end(t *testing.T, command *exec.Cmd, with os.Signal) {
	t.Helper()
	_ = command.Process.Signal(with)
	stuck := time.AfterFunc(3*time.Second, func() { _ = command.Process.Kill() })
	defer stuck.Stop()
	if err := command.Wait(); err != nil {
		t.Fatal(err)
	}
}

func tailUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"--file", "x", "--slot", "y"}, {"--no-such"}, {"--file", "x", "-n", "x"},
		{"--file", "x", "more"}, {"--slot", "s", "--option", "x"}} {
		r := outcome(t, tail(t, args...))
		if r.code != 2 || r.stdout != "" || !strings.Contains(r.stderr, "usage: cdc-tail") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if r := outcome(t, tail(t, "--help")); r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, "usage: cdc-tail") {
		t.Errorf("%+v", r)
	}
	if r := outcome(t, tail(t, "--version")); r.code != 0 || r.stderr != "" || r.stdout != "cdc-tail "+cdc.Version+"\n" {
		t.Errorf("%+v", r)
	}
}

// twice has transactions of two events each.
func twice(t *testing.T, transactions int) string {
	t.Helper()
	source, file := cdctest.NewSource("s"), []byte(nil)
	for range transactions {
		b := source.Transaction()
		f, table := cdctest.Table("public", "t")
		b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(f), Table: table}}
		b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpInsert, Schema: uint64(f), Key: []byte("\x0a\x01a")},
			{Op: cdc.OpDelete, LsnOffset: 8, Schema: uint64(f), Key: []byte("\x0a\x01a")}}
		b.EventCount = 2
		raw, err := proto.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		file = cdc.AppendFrame(file, raw)
	}
	return written(t, file)
}

func written(t *testing.T, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.pb")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// pretend is a server that is none: it does with each connection as it is told.
func pretend(t *testing.T, f func(net.Conn)) (port string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go f(conn)
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

// greet reads what a client begins with, and gives what a server talks with.
func greet(conn net.Conn) *pgproto3.Backend {
	backend := pgproto3.NewBackend(conn, conn)
	for {
		message, err := backend.ReceiveStartupMessage()
		if err != nil {
			return backend
		}
		if _, ok := message.(*pgproto3.StartupMessage); ok {
			return backend
		}
		_, _ = conn.Write([]byte{'N'})
	}
}

func tailErrors(t *testing.T) {
	good, err := os.ReadFile("../../test/golden/types.pb")
	if err != nil {
		t.Fatal(err)
	}
	wrong := pretend(t, func(conn net.Conn) {
		backend := greet(conn)
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: `password authentication failed for user "x"`})
		_ = backend.Flush()
		conn.Close()
	})
	for what, c := range map[string]struct {
		args  []string
		words string
		lines bool
	}{
		"no file":        {[]string{"--file", "/no/such/file"}, "no such file", false},
		"damaged":        {[]string{"--file", written(t, append([]byte("\x05\xff\xff\xff\xff\xff"), good...))}, "damaged", false},
		"damaged later":  {[]string{"--json", "--file", written(t, append(bytes.Clone(good), "\x05\xff\xff\xff\xff\xff"...))}, "damaged", true},
		"cut":            {[]string{"--json", "--file", written(t, good[:len(good)-5])}, "cut", false},
		"no server":      {[]string{"--slot", "s", "--conninfo", "host=/no/such/folder"}, "no such file", false},
		"wrong password": {[]string{"--slot", "s", "--conninfo", "host=127.0.0.1 port=" + wrong + " password=y sslmode=disable"}, "password authentication failed", false},
	} {
		r := outcome(t, tail(t, c.args...))
		if r.code != 1 || !strings.Contains(r.stderr, c.words) || c.lines != (r.stdout != "") && what != "cut" ||
			what != "wrong password" && strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: %d %q %.100q", what, r.code, r.stderr, r.stdout)
		}
	}
	if os.Getenv("PGHOST") == "" {
		return
	}
	if r := outcome(t, tail(t, "--slot", "no_such_slot")); r.code != 1 || !strings.Contains(r.stderr, "no_such_slot") || r.stdout != "" {
		t.Errorf("%+v", r)
	}
}

func tailCount(t *testing.T) {
	r := outcome(t, tail(t, "--json", "-n", "3", "--file", twice(t, 3)))
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	if r.code != 0 || len(lines) != 4 || !strings.Contains(lines[2], `"op":"COMMITTED"`) || !strings.Contains(lines[3], `"op":"INSERT"`) {
		t.Fatalf("%+v", r)
	}
}

func tailCountAck(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	d.makeSlot()
	for i := range 3 {
		d.exec(fmt.Sprintf("INSERT INTO t VALUES (%d), (%d)", 2*i, 2*i+1))
	}
	r := outcome(t, tail(t, "--slot", d.slot(), "--conninfo", "dbname="+d.name, "--ack", "-n", "3", "--json"))
	if r.code != 0 || strings.Count(r.stdout, `"op":"INSERT"`) != 3 {
		t.Fatalf("%+v", r)
	}
	eventually(t, "the slot is free", func() bool { return !d.active() })
	if n := d.value("SELECT count(*) FROM cdc.peek('" + d.slot() + "') WHERE op = 'INSERT'"); n != "4" {
		t.Fatalf("%s events are left", n)
	}
}

func tailSignal(t *testing.T) {
	for _, more := range []string{"", "--fetch"} {
		for _, with := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
			t.Run(with.String()+more, func(t *testing.T) { tailSignalled(t, with, strings.Fields(more)) })
		}
	}
}

// started starts a command, whose output is a pipe.
func started(t *testing.T, command *exec.Cmd) (out io.ReadCloser, stderr *bytes.Buffer) {
	t.Helper()
	stderr = new(bytes.Buffer)
	command.Stderr = stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	return out, stderr
}

func tailSignalled(t *testing.T, with os.Signal, more []string) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY)")
	before := d.makeSlot()
	command := tail(t, append([]string{"--slot", d.slot(), "--conninfo", "dbname=" + d.name, "--ack"}, more...)...)
	out, stderr := started(t, command)
	d.exec("INSERT INTO t VALUES (1)")
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, " INSERT public.t ") {
		t.Fatal(line, err)
	}
	time.Sleep(100 * time.Millisecond)
	end(t, command, with)
	eventually(t, "the slot is free", func() bool { return !d.active() })
	if d.confirmed() <= before || d.value("SELECT count(*) FROM cdc.peek('"+d.slot()+"')") != "0" || stderr.Len() > 0 {
		t.Errorf("not acknowledged: %s", stderr)
	}
}

func tailPipe(t *testing.T) {
	command := tail(t, "--json", "--file", twice(t, 5000))
	out, stderr := started(t, command)
	if _, err := io.ReadFull(out, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if err := command.Wait(); err != nil || stderr.Len() > 0 {
		t.Fatal(err, stderr)
	}
}

func tailTimes(t *testing.T) {
	r := outcome(t, tail(t, "--file", "../../test/golden/messages.pb"))
	if r.code != 0 || strings.Contains(r.stdout, "0001-") || strings.Contains(r.stdout, "1970-") || !strings.Contains(r.stdout, "- MESSAGE ") {
		t.Fatalf("%+v", r)
	}
}
