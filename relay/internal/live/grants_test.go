package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// grants gives what the command prints for one side.
func (r *relay) grants(only string, more ...string) string {
	r.t.Helper()
	file, err := relayBinary()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(file, append([]string{"grants", "--only", only, "--config", r.config}, more...)...)
	cmd.Env = append(os.Environ(), r.env...)
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	return string(out)
}

// natsOf runs a server with the user that is printed, and one who may do everything.
func natsOf(t *testing.T, user string) *server.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	with := strings.Replace(user, `user: "relay"`, `user: "relay", password: "r"`, 1)
	content := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\nauthorization { users: [ { user: admin, password: a }\n%s ] }\n", t.TempDir(), with)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	options.NoSigs, options.NoLog = true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s
}

// A relay that may do what the command prints, and nothing else, carries what it is told to.
func TestGrantsSuffice(t *testing.T) {
	for transport, tables := range map[string]string{"replication": "public.a,public.marker", "fetch": "public.*"} {
		t.Run(transport, func(t *testing.T) { grantsSuffice(t, transport, tables) })
	}
}

func grantsSuffice(t *testing.T, transport, tables string) {
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	name, role := "relay_grants_"+transport, "relay_least_"+transport
	conn := database(t, name, "INSERT INTO a SELECT g FROM generate_series(1001, 1250) g")
	t.Cleanup(func() { dropRole(name, role) })
	insert(t, conn, "SELECT pg_drop_replication_slot('"+name+"')")
	r := newRelay(t, name, &embedded{})
	address := freePort(t)
	r.env = []string{"CDC_RELAY_POSTGRES_CONN=dbname=" + name + " user=" + role, "CDC_RELAY_POSTGRES_TRANSPORT=" + transport,
		"CDC_RELAY_POSTGRES_OPTIONS_TABLES=" + tables, "CDC_RELAY_POSTGRES_OPTIONS_MESSAGES=audit",
		"CDC_RELAY_RELAY_SNAPSHOT=initial", "CDC_RELAY_RELAY_SNAPSHOT_ROWS=100", "CDC_RELAY_NATS_EMBEDDED=", "CDC_RELAY_NATS_CREATE=true", "CDC_RELAY_NATS_URL=nats://relay:r@" + address}
	s := natsOf(t, r.grants("nats", "--reading"))
	sql := r.grants("postgres")
	for _, statement := range regexp.MustCompile(`;( *--.*)?\n`).Split(sql, -1) { // as psql does: a slot is made in a transaction of its own
		insert(t, conn, statement)
	}
	if transport == "fetch" { // they are stored with the slot
		r.env = slices.DeleteFunc(r.env, func(s string) bool { return strings.HasPrefix(s, "CDC_RELAY_POSTGRES_OPTIONS_") })
		content, err := os.ReadFile(r.config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.config, []byte(strings.NewReplacer("old = \"full\"\n", "", "messages = \"*\"\n", "").Replace(string(content))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range r.env {
		r.env[i] = strings.Replace(r.env[i], address, s.Addr().String(), 1)
	}
	admin := freePort(t)
	r.env = append(r.env, "CDC_RELAY_ADMIN_LISTEN="+admin)
	r.start()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	waitForLoads(ctx, t, admin)
	insert(t, conn, "SELECT cdc.set_traceparent('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'); SELECT pg_logical_emit_message(true, 'audit', 'x'), pg_logical_emit_message(true, 'other', 'x'); "+
		"INSERT INTO a VALUES (1); INSERT INTO marker VALUES (1)")
	log := &embedded{address: "admin:a@" + s.Addr().String()}
	var topics []string
	read := 0
	for len(topics) < 3 && ctx.Err() == nil {
		time.Sleep(200 * time.Millisecond)
		all, err := log.read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		topics, read = carriedTopics(t, all)
		if err := verify.Once(all, true); err != nil {
			t.Error(err)
		}
	}
	r.reads("public.a", 251)
	r.stop()
	if read != 250 {
		t.Errorf("%d rows of a were loaded, not 250, with\n%s", read, sql)
	}
	if got := strings.Join(topics, " "); got != "cdc.messages cdc.public.a cdc.public.marker" {
		t.Errorf("it carries %s, with\n%s", got, sql)
	}
}

// reads has the command tail print what is on the bus.
func (r *relay) reads(table string, want int) {
	r.t.Helper()
	file, err := relayBinary()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(file, "tail", "--beginning", "--end", "--json", "--table", table, "--config", r.config)
	cmd.Env = append(os.Environ(), r.env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if n := strings.Count(string(out), `"op":"`); err != nil || n != want {
		r.t.Errorf("%d events of %s, not %d, %v: %s", n, table, want, err, said.String())
	}
}

// carriedTopics gives the topics of changes, which are to have a trace, and how many rows of a were read.
func carriedTopics(t *testing.T, all []bus.Message) (topics []string, read int) {
	t.Helper()
	for i := range all {
		m := &all[i]
		switch {
		case m.Get(bus.Op) != bus.Read:
			topics = append(topics, m.Topic)
			if !strings.HasPrefix(m.Get("traceparent"), "00-0af7") {
				t.Errorf("%s has no traceparent", m.Topic)
			}
		case m.Topic == "cdc.public.a" && len(m.Value) > 0:
			read++
		}
	}
	return topics, read
}

// dropRole removes what it was granted first.
func dropRole(database, role string) {
	for _, step := range [][2]string{{database, "DROP OWNED BY " + role}, {"postgres", "DROP ROLE " + role}} {
		if conn, err := pgx.Connect(context.Background(), "dbname="+step[0]); err == nil {
			_, _ = conn.Exec(context.Background(), step[1])
			conn.Close(context.Background())
		}
	}
}
