package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// cluster is a PostgreSQL of the test's own, to be stopped without mercy.
type cluster struct {
	t         *testing.T
	dir, conn string
}

// serverHas tells whether servers know a setting.
func serverHas(name string) bool {
	out, err := exec.Command("postgres", "--describe-config").Output()
	return err == nil && strings.Contains(string(out), "\n"+name+"\t")
}

// newCluster makes one that runs.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := newDirectory(t)
	c.run("initdb", "-D", c.dir+"/data", "-A", "trust", "-U", "postgres", "--no-locale", "-E", "UTF8", "--no-sync")
	settings := "listen_addresses = ''\nwal_level = logical\nfsync = off\nlogical_decoding_work_mem = '64kB'\nmax_wal_senders = 20\n"
	if serverHas("output_plugin_libraries") {
		settings += "output_plugin_libraries = 'pgoutput, cdc'\n"
	}
	c.set(settings)
	c.start()
	return c
}

// newDirectory is where one can be.
func newDirectory(t *testing.T) *cluster {
	t.Helper()
	if os.Getuid() == 0 {
		t.Skip("servers do not run as root")
	}
	if _, err := exec.LookPath("initdb"); err != nil {
		t.Skip("initdb is not in the PATH")
	}
	dir, err := os.MkdirTemp("/tmp", "cdc-relay-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t, dir, "host=" + dir + " user=postgres dbname=postgres"}
	t.Cleanup(func() {
		_ = exec.Command("pg_ctl", "-D", dir+"/data", "-m", "immediate", "stop").Run()
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
	c.run("pg_ctl", "-D", c.dir+"/data", "-l", c.dir+"/log", "-w", "-t", "120", "start")
}

func (c *cluster) crash() {
	c.t.Helper()
	c.run("pg_ctl", "-D", c.dir+"/data", "-m", "immediate", "-w", "stop")
	c.start()
}

func (c *cluster) connect() *pgx.Conn {
	c.t.Helper()
	conn, err := pgx.Connect(context.Background(), c.conn)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// execute runs commands.
func execute(t *testing.T, conn *pgx.Conn, commands ...string) {
	t.Helper()
	for _, sql := range commands {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
