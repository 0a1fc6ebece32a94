package live

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// What users of such programs have had to complain of, and the tests of each here:
//
//	acknowledged before it is on the disk    pump.TestTailIsLost, pump.TestTailIsLostWhileIdle, "the broker loses its tail" in the crashes
//	output that is in another order          verify.Once in all tests; links that are cut and slow, in the crashes
//	checkpoints before the broker's answer   TestNothingIsConfirmedThatIsNotStored
//	rows of a COPY are lost at a restart     TestCopyIsCut
//	a slot that was made again               TestSlotIsMadeAgain, pump.TestSlotPastTheLog
//	the same twice after a restart           TestStopConfirms, verify.Once in all crashes
//	lag while nothing happens                TestIdle, pump.TestIdle
//	one message after the other              TestManyAtOnce
//	the end is lost at shutdown              TestStopConfirms, "the relay is stopped in order" in the crashes
//	keys by chance                           TestKeys; verify.Rebuild of each partition in all crashes
//	all in one partition                     TestKeys
//	what is too large is left out            TestTooLarge, plan.TestTooLarge
//	it stands still with much data           TestLargeTransaction
//	no slot after a failover                 TestFailover
//	the same twice from two servers          TestStandby, "another relay beside it" in the crashes (by SQL both write), pump.TestTwoAtOnce

func imitation(t *testing.T) *kafkaBroker {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return &kafkaBroker{cluster.ListenAddrs()}
}

// messages of the log of now.
func (s *trial) messages() []bus.Message {
	s.t.Helper()
	all, err := s.b.read(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// A broker does not answer: PostgreSQL must not hear that it has what was sent to it.
func TestNothingIsConfirmedThatIsNotStored(t *testing.T) {
	t.Parallel()
	brokers := map[string]func() broker{"nats": func() broker { return newExternal(t, 0) }}
	if !testing.Short() {
		brokers["kafka"] = func() broker { return newKafka(t) }
	}
	for name, make := range brokers {
		t.Run(name, func(t *testing.T) {
			s := &trial{name: "relay_unstored", b: make()}
			s.prepare(t)
			s.running()
			s.execute("INSERT INTO a VALUES (1)")
			s.recovered()
			pid := s.b.(mortal).pid()
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			defer syscall.Kill(pid, syscall.SIGCONT)
			lsn := s.execute("INSERT INTO a VALUES (2)", "INSERT INTO a VALUES (3)")
			for range 30 {
				if s.confirmed(lsn) {
					t.Fatal("PostgreSQL has heard that it is stored")
				}
				time.Sleep(100 * time.Millisecond)
			}
			_ = syscall.Kill(pid, syscall.SIGCONT)
			s.recovered()
			s.end()
		})
	}
}

// The rows of a COPY share places in the WAL. The relay is killed in the midst of it, again and again.
func TestCopyIsCut(t *testing.T) {
	t.Parallel()
	const rows = 20000
	for name, make := range map[string]func(*testing.T) broker{
		"kafka": func(t *testing.T) broker { return imitation(t) },
		"nats":  func(t *testing.T) broker { return newExternal(t, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			s := &trial{name: "relay_copy", b: make(t), env: []string{"CDC_RELAY_KAFKA_TRANSACTION_EVENTS=100", "CDC_RELAY_NATS_IN_FLIGHT_BYTES=20kB"}}
			s.prepare(t)
			if l, ok := s.b.(linked); ok {
				l.line().bad(time.Millisecond, 0)
			}
			_, err := s.connected().CopyFrom(s.ctx, pgx.Identifier{"a"}, []string{"id", "n"},
				pgx.CopyFromSlice(rows, func(i int) ([]any, error) { return []any{i, i}, nil }))
			if err != nil {
				t.Fatal(err)
			}
			before, cuts := 0, 0
			for range 5 {
				s.running()
				for len(s.present()) <= before && !s.relay.ended() && s.ctx.Err() == nil {
					time.Sleep(20 * time.Millisecond)
				}
				s.relay.kill()
				if before = len(s.present()); before > 0 && before < rows {
					cuts++
				}
			}
			if cuts == 0 {
				t.Error("it was never cut")
			}
			t.Logf("%d cuts, the last at row %d", cuts, before)
			if l, ok := s.b.(linked); ok {
				l.line().bad(0, 0)
			}
			if all := s.end(); len(all) != rows+1 {
				t.Errorf("there are %d messages", len(all))
			}
		})
	}
}

// present are the messages of the log, which need not be there yet.
func (s *trial) present() []bus.Message {
	all, _ := s.b.read(s.ctx)
	return all
}

// A slot that was dropped and made again has lost what was committed in between: the relay tells, and ends.
func TestSlotIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := &trial{name: "relay_again", b: imitation(t)}
	s.prepare(t)
	s.running()
	s.execute("INSERT INTO a VALUES (1)")
	s.recovered()
	s.relay.stop()
	s.execute("SELECT pg_drop_replication_slot('relay_again')", "INSERT INTO a VALUES (2)",
		"SELECT pg_create_logical_replication_slot('relay_again', 'cdc')", "INSERT INTO a VALUES (3)")
	s.relay.start()
	if code := s.relay.ends(time.Minute); code != 1 {
		t.Errorf("it ends with %d", code)
	}
	s.says("beyond the checkpoint")
	if n := len(s.messages()); n != 1 {
		t.Errorf("there are %d messages", n)
	}
}

// says checks that the relay has said something.
func (s *trial) says(words string) {
	s.t.Helper()
	if content, _ := os.ReadFile(s.relay.log.Name()); !strings.Contains(string(content), words) {
		s.t.Errorf("the relay does not say %q", words)
	}
}

// When a relay has ended in order, PostgreSQL has heard of all that the log has: the last change, too. The next
// one adds nothing to it.
func TestStopConfirms(t *testing.T) {
	t.Parallel()
	s := &trial{name: "relay_stop", b: imitation(t)}
	s.prepare(t)
	for i := range 5 {
		s.running()
		s.execute(fmt.Sprintf("INSERT INTO a VALUES (%d)", i))
		for len(s.present()) <= i && s.ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
		s.relay.stop()
		all := s.messages()
		if len(all) != i+1 {
			t.Fatalf("there are %d messages, not %d", len(all), i+1)
		}
		end := "0/0"
		for j := range all {
			end = max(end, all[j].Get(bus.Confirm))
		}
		if !s.confirmed(end) {
			t.Errorf("the log has all up to %s, and PostgreSQL has not heard of it", end)
		}
	}
}

// Nothing happens in the database, but elsewhere in the server: the slot moves, and there is no lag.
func TestIdle(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	s := &trial{name: "relay_idle", b: imitation(t), env: []string{"CDC_RELAY_ADMIN_LISTEN=" + address}}
	s.prepare(t)
	s.running()
	s.execute("INSERT INTO a VALUES (1)")
	s.recovered()
	elsewhere, err := pgx.Connect(s.ctx, "dbname=postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close(s.ctx)
	for range 3 {
		execute(t, elsewhere, "SELECT pg_logical_emit_message(true, 'elsewhere', repeat('x', 100000))")
		time.Sleep(time.Second)
	}
	s.recovered()
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	for name, limit := range map[string]float64{"cdc_lag_seconds": 0, "cdc_relay_lag_seconds": 10, "cdc_relay_running": 1} {
		found := regexp.MustCompile("(?m)^" + name + `(?:\{[^}]*\})? (\S+)$`).FindSubmatch(text)
		if found == nil {
			t.Fatalf("there is no %s", name)
		}
		if value, err := strconv.ParseFloat(string(found[1]), 64); err != nil || value > limit {
			t.Errorf("%s is %s", name, found[1])
		}
	}
	s.end()
}

// The link holds each answer back until the relay has nothing more to send without it. Who waited for an answer to
// each message would wait as often as there are messages, however fast the machine is.
func TestManyAtOnce(t *testing.T) {
	const rows = 5000
	s := &trial{name: "relay_many", b: newExternal(t, 0)}
	s.prepare(t)
	s.running()
	s.execute("INSERT INTO a VALUES (0)")
	s.recovered()
	l := s.b.(linked).line()
	l.patience.Store(int64(10 * time.Millisecond))
	before := l.waits.Load()
	s.execute(fmt.Sprintf("DO $$BEGIN FOR i IN 1..%d LOOP INSERT INTO a VALUES (i); COMMIT; END LOOP; END$$", rows))
	s.recovered()
	waits := l.waits.Load() - before
	l.patience.Store(0)
	t.Logf("%d rows, %d times answers were waited for", rows, waits)
	if waits == 0 || waits > rows/10 {
		t.Errorf("answers were waited for %d times", waits)
	}
	s.end()
}

// A row keeps its key and its partition, also over restarts, and the rows of one table are spread over all partitions.
func TestKeys(t *testing.T) {
	t.Parallel()
	const rows = 400
	s := &trial{name: "relay_keys", b: imitation(t)}
	s.prepare(t)
	for range 3 {
		s.running()
		s.execute(fmt.Sprintf("INSERT INTO a SELECT g, 0 FROM generate_series(1, %d) g ON CONFLICT (id) DO UPDATE SET n = a.n + 1", rows))
		s.recovered()
		s.relay.kill()
	}
	places, used := map[string]int32{}, map[int32]int{}
	all := s.end()
	for i := range all {
		m := &all[i]
		if m.Topic != "cdc.public.a" {
			continue
		}
		if other, ok := places[string(m.Key)]; ok && other != m.Partition {
			t.Errorf("the key %x is in the partitions %d and %d", m.Key, other, m.Partition)
		}
		places[string(m.Key)] = m.Partition
		used[m.Partition]++
	}
	if len(places) != rows || len(used) != 4 {
		t.Errorf("there are %d keys in %d partitions", len(places), len(used))
	}
	for partition, n := range used {
		if n < len(all)/20 {
			t.Errorf("partition %d has %d of %d messages", partition, n, len(all))
		}
	}
}

// What the bus does not take ends the relay, or goes to the dead letters if that was asked for. It is not left out.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := &trial{name: "relay_large", b: newExternal(t, 0)}
	s.prepare(t)
	s.running()
	lsn := s.execute("INSERT INTO a VALUES (1, 1, repeat('x', 1200000))")
	if code := s.relay.ends(time.Minute); code != 1 {
		t.Errorf("it ends with %d", code)
	}
	s.says("raise the limit of the broker")
	if s.confirmed(lsn) {
		t.Error("PostgreSQL has heard that it is stored")
	}
	s.relay.env = append(s.relay.env, "CDC_RELAY_RELAY_TOO_LARGE=dead_letter")
	s.running()
	s.execute("INSERT INTO a VALUES (2)")
	s.recovered()
	s.relay.stop()
	all, dead := s.messages(), 0
	if err := verify.Once(all, true); err != nil {
		t.Error(err)
	}
	for i := range all {
		if all[i].Get(bus.Reason) == "too_large" && all[i].Get(bus.Relation) == "public.a" && strings.HasPrefix(all[i].Topic, "cdc.dead") {
			dead++
		}
	}
	if dead != 1 || len(all) != 2 {
		t.Errorf("%d of %d messages are dead letters", dead, len(all))
	}
}

// largeLimit is what a relay may take, in megabytes, with the buffers that it has by default.
const largeLimit = 256

// A transaction of 300 MB goes over a slow link: it takes its time, and no more memory than is said.
func TestLargeTransaction(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	s := &trial{name: "relay_big", b: newExternal(t, 0)}
	s.prepare(t)
	s.running()
	s.b.(linked).line().bad(time.Millisecond, 0)
	s.execute("INSERT INTO a SELECT g, g, repeat(md5(g::text), 3125) FROM generate_series(1, 3000) g")
	s.recovered()
	peak := peakMemory(t, s.relay.cmd.Process.Pid)
	t.Logf("the relay took %d MB at most", peak)
	if peak > largeLimit {
		t.Errorf("the relay took %d MB", peak)
	}
	s.b.(linked).line().bad(0, 0)
	if all := s.end(); len(all) != 3001 {
		t.Errorf("there are %d messages", len(all))
	}
}

// peakMemory of a process, in megabytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("there is no /proc: ", err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("there is no VmHWM in %s", status)
	}
	kB, _ := strconv.Atoi(string(found[1]))
	return kB / 1000
}
