package cdc_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// cluster is a server of the test's own, to be stopped without mercy.
type cluster struct {
	t         *testing.T
	dir, conn string
}

// newCluster makes one, with settings of its own beside the usual ones.
func newCluster(t *testing.T, more ...string) *cluster {
	c := newDirectory(t)
	c.run("initdb", "-D", c.dir+"/data", "-A", "trust", "-U", "postgres", "--no-locale", "-E", "UTF8", "--no-sync")
	settings := "listen_addresses = ''\nwal_level = logical\nfsync = off\nlogical_decoding_work_mem = '64kB'\n"
	if out, err := exec.Command("postgres", "--describe-config").Output(); err == nil && strings.Contains(string(out), "\noutput_plugin_libraries") {
		settings += "output_plugin_libraries = 'pgoutput, cdc'\n"
	}
	c.set(settings + strings.Join(more, "\n"))
	c.start()
	return c
}

// newDirectory is where one can be.
func newDirectory(t *testing.T) *cluster {
	if os.Getenv("PGHOST") == "" {
		t.Skip("no server to test with")
	}
	if os.Getuid() == 0 {
		t.Skip("servers do not run as root")
	}
	if _, err := exec.LookPath("initdb"); err != nil {
		t.Skip("initdb is not in the PATH")
	}
	dir, err := os.MkdirTemp("/tmp", "cdc-go-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t, dir, "host=" + dir + " user=postgres dbname=postgres"}
	t.Cleanup(func() {
		_ = exec.Command("pg_ctl", "-D", filepath.Join(dir, "data"), "-m", "immediate", "stop").Run()
		_ = os.RemoveAll(dir)
	})
	return c
}

// set adds settings to the configuration, that of its socket with them.
func (c *cluster) set(settings string) {
	c.t.Helper()
	f, err := os.OpenFile(c.dir+"/data/postgresql.conf", os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "unix_socket_directories = '%s'\n%s\n", c.dir, settings)
		_ = f.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) run(name string, args ...string) {
	c.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (c *cluster) start() {
	c.t.Helper()
	c.run("pg_ctl", "-D", c.dir+"/data", "-l", c.dir+"/log", "-w", "-t", "60", "start")
}

func (c *cluster) crash() {
	c.t.Helper()
	c.run("pg_ctl", "-D", c.dir+"/data", "-m", "immediate", "-w", "stop")
	c.start()
}

func (c *cluster) connect() *pgconn.PgConn {
	c.t.Helper()
	conn, err := pgconn.Connect(context.Background(), c.conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return conn
}

// consumer starts the process.
func (c *cluster) consumer() *exec.Cmd {
	c.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CDC_TEST_CONSUMER="+c.conn)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd
}
