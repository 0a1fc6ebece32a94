package live

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// trial is a database whose tables change while faults happen, and a relay that carries the changes.
type trial struct {
	name   string // of the database and the slot
	b      broker
	env    []string // of the relay
	before []string // what is in the database before the slot is made
	own    bool     // a PostgreSQL of the trial's own, which may crash
	faults []fault  // nil: all that fit
	rounds int      // 0: as the command line says

	t      *testing.T
	ctx    context.Context
	server *cluster // or nil
	conn   *pgx.Conn
	relay  *relay
	random *rand.Rand
	seed   uint64
	count  map[string]int // of faults by name
}

// crashes has all kinds of things go wrong by chance while tables change, and compares at the end.
func crashes(t *testing.T, name string, b broker, env ...string) {
	(&trial{name: name, b: b, env: env}).run(t)
}

func (s *trial) run(t *testing.T) {
	s.prepare(t)
	working, stopWork := context.WithCancel(s.ctx)
	defer stopWork()
	var workers sync.WaitGroup
	var committed atomic.Int64
	for i := range 3 {
		workers.Go(func() { work(working, t, s.database(), s.seed+uint64(i), &committed) })
	}
	s.disturb(&committed)
	stopWork()
	workers.Wait()
	all := s.end()
	var lsn string
	s.value(&lsn, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", s.name)
	t.Logf("%d transactions, %d messages, each once; the tables are the same; the slot is at %s; %v", committed.Load(), len(all), lsn, s.count)
}

// prepare makes what is needed.
func (s *trial) prepare(t *testing.T) {
	t.Helper()
	if os.Getenv("PGHOST") == "" {
		t.Skip("PGHOST names no server")
	}
	s.t, s.count = t, map[string]int{}
	if s.seed = *seed; s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", s.seed)
	s.random = rand.New(rand.NewPCG(s.seed, 2))
	if s.rounds == 0 {
		s.rounds = *rounds
	}
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithTimeout(t.Context(), 10*time.Minute+time.Duration(s.rounds)*time.Minute)
	t.Cleanup(cancel)
	if s.own {
		s.server = newCluster(t)
		s.env = append(s.env, "CDC_RELAY_POSTGRES_CONN="+s.database())
		s.conn = databaseAt(t, s.server.conn, s.name, s.before...)
	} else {
		s.conn = database(t, s.name, s.before...)
	}
	s.relay = newRelay(t, s.name, s.b)
	s.relay.env = s.env
}

// database is how it is reached.
func (s *trial) database() string {
	if s.server != nil {
		return "host=" + s.server.dir + " user=postgres dbname=" + s.name
	}
	return "dbname=" + s.name
}

// disturb has one fault after the other, and in between the relay get over it, or not.
func (s *trial) disturb(committed *atomic.Int64) {
	list := s.fitting()
	for round := range s.rounds {
		s.running()
		s.sleep(300, 1800)
		f := choose(s.random, list)
		s.t.Logf("round %d: %s", round+1, f.name)
		s.count[f.name]++
		f.happens(s)
		if s.random.IntN(3) == 0 || round == s.rounds-1 {
			s.running()
			s.recovered()
		}
		if s.t.Failed() {
			s.t.FailNow()
		}
	}
	for committed.Load() < 10 && s.ctx.Err() == nil { // on a busy machine
		time.Sleep(50 * time.Millisecond)
	}
}

// fitting are the faults that can happen here.
func (s *trial) fitting() (list []fault) {
	if s.faults != nil {
		return s.faults
	}
	for _, f := range faults {
		if (!f.long || !testing.Short()) && (f.fits == nil || f.fits(s)) {
			list = append(list, f)
		}
	}
	return list
}

// running has a relay run that was not ended by itself.
func (s *trial) running() {
	s.t.Helper()
	if s.relay.cmd == nil {
		s.relay.start()
	} else if s.relay.ended() {
		s.t.Fatalf("the relay has given up: %v", s.relay.cmd.ProcessState)
	}
}

// recovered waits until PostgreSQL has heard of all that there is now.
func (s *trial) recovered() {
	s.t.Helper()
	var lsn string
	s.value(&lsn, "SELECT pg_current_wal_lsn()::text")
	for limit := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if s.confirmed(lsn) {
			return
		}
		if s.relay.ended() {
			s.t.Fatalf("the relay has given up: %v", s.relay.cmd.ProcessState)
		}
		if time.Now().After(limit) {
			s.t.Fatalf("the relay does not get over it: the slot is not at %s", lsn)
		}
	}
}

// end compares the log with the tables.
func (s *trial) end() []bus.Message {
	s.t.Helper()
	var n int
	s.value(&n, "WITH x AS (INSERT INTO marker VALUES (1) ON CONFLICT DO NOTHING) SELECT 1")
	s.running()
	s.recovered()
	waitFor(s.ctx, s.t, s.b, "public.marker")
	all, err := s.b.read(s.ctx) // again: topics are read one after the other
	if err != nil {
		s.t.Fatal(err)
	}
	s.relay.stop()
	compare(s.t, all, s.b.single(), source(s.t, s.connected()))
	return all
}

// execute commands in the database, and give where the WAL is then.
func (s *trial) execute(commands ...string) (lsn string) {
	s.t.Helper()
	execute(s.t, s.connected(), commands...)
	s.value(&lsn, "SELECT pg_current_wal_insert_lsn()::text")
	return lsn
}

// confirmed tells whether PostgreSQL has heard that all up to a place is stored.
func (s *trial) confirmed(lsn string) (done bool) {
	s.t.Helper()
	s.value(&done, "SELECT confirmed_flush_lsn >= $2::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $1", s.name, lsn)
	return done
}

// compare looks at a log by itself, rebuilds the tables from it, partition by partition and as a whole,
// and compares them with the source.
func compare(t *testing.T, all []bus.Message, single bool, want verify.Tables) {
	t.Helper()
	if err := verify.Once(all, single); err != nil {
		t.Fatal(err)
	}
	for name, rebuild := range map[string]func([]bus.Message) (verify.Tables, error){
		"partition by partition": verify.Rebuild, "as a whole": verify.Whole} {
		got, err := rebuild(all)
		if err != nil {
			t.Fatal(name, ": ", err)
		}
		if d := verify.Differences(got, want); d != "" {
			t.Fatal(name, ": ", d)
		}
	}
}

// connected gives a connection that lives.
func (s *trial) connected() *pgx.Conn {
	s.t.Helper()
	for s.conn.IsClosed() || s.conn.Ping(s.ctx) != nil {
		conn, err := pgx.Connect(s.ctx, s.database())
		if err == nil {
			s.conn = conn
			return conn
		}
		if s.ctx.Err() != nil {
			s.t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return s.conn
}

// value asks for one.
func (s *trial) value(to any, sql string, arguments ...any) {
	s.t.Helper()
	if err := s.connected().QueryRow(s.ctx, sql, arguments...).Scan(to); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// sleep for some time between two numbers of milliseconds.
func (s *trial) sleep(least, most int) {
	time.Sleep(time.Duration(least+s.random.IntN(most-least+1)) * time.Millisecond)
}

// choose takes one by its weight.
func choose(r *rand.Rand, list []fault) fault {
	total := 0
	for _, f := range list {
		total += f.weight
	}
	n := r.IntN(total)
	for _, f := range list {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	panic(fmt.Sprint("weights of ", len(list), " faults"))
}
