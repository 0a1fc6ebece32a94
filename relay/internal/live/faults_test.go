package live

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a broker may be able to do, beside being read.
type (
	// mortal is a process of its own.
	mortal interface {
		start(t testing.TB)
		stop() // by SIGKILL
		pid() int
	}
	// lossy can lose what it has not written to the disk, when asked within the relay's hold_back.
	lossy interface{ loseTail(s *trial) }
	// linked is reached by a link.
	linked interface{ line() *link }
	// expiring aborts transactions whose writer is silent.
	expiring interface {
		transactionOpen(ctx context.Context) (bool, error)
	}
	// alone cannot have a second relay.
	alone interface{ alone() }
)

// is tells whether the broker of a trial can do something.
func is[T any](s *trial) bool { _, ok := s.b.(T); return ok }

// fault is what may go wrong, how often in comparison with others, and where.
type fault struct {
	name    string
	weight  int
	long    bool // takes long
	fits    func(*trial) bool
	happens func(*trial)
}

var faults = []fault{
	{"the relay is killed", 30, false, nil, func(s *trial) { s.relay.kill() }},
	{"the relay is stopped in order", 8, false, nil, func(s *trial) { s.relay.stop() }},
	{"the relay stands still", 6, false, nil, func(s *trial) { s.still(s.relay.cmd.Process.Pid, 200, 3000) }},
	{"the relay stands still until its transaction expires", 8, true, is[expiring], (*trial).expire},
	{"another relay beside it", 10, false, func(s *trial) bool { return !is[alone](s) }, (*trial).another},
	{"the broker is killed", 15, false, is[mortal], (*trial).killBroker},
	{"the broker stands still", 6, false, is[mortal], func(s *trial) { s.still(s.b.(mortal).pid(), 200, 4000) }},
	{"the broker loses its tail", 10, false, is[lossy], func(s *trial) { s.b.(lossy).loseTail(s) }},
	{"the link to the broker is cut", 8, false, is[linked], (*trial).cutLink},
	{"the link to the broker is slow and loses packets", 6, false, is[linked], (*trial).slowLink},
	{"the walsender is ended", 10, false, nil, (*trial).endWalsender},
	{"the walsender stands still", 6, false, (*trial).near, (*trial).stillWalsender},
	{"the walsender is killed", 6, true, func(s *trial) bool { return s.server != nil }, (*trial).killWalsender},
	{"PostgreSQL is stopped at once", 10, true, func(s *trial) bool { return s.server != nil }, func(s *trial) { s.server.crash() }},
}

// still has a process stand still for some time between two numbers of milliseconds.
func (s *trial) still(pid, least, most int) {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	s.sleep(least, most)
}

// expire stops the relay in the midst of a transaction, for as long as the broker needs to lose its patience.
// What the relay sends when it wakes up is refused.
func (s *trial) expire() {
	s.t.Helper()
	pid := s.relay.cmd.Process.Pid
	open := func() bool {
		is, err := s.b.(expiring).transactionOpen(s.ctx)
		return is && err == nil
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	for try := 0; ; try++ {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		if open() {
			break
		}
		_ = syscall.Kill(pid, syscall.SIGCONT)
		if try == 500 {
			s.t.Log("no transaction was open")
			return
		}
		s.sleep(5, 100)
	}
	for end := time.Now().Add(time.Minute); open(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("the transaction does not expire")
		}
	}
	s.count["transactions that have expired"]++
}

// another runs beside the relay for a while; then one of the two is killed, and the other stays.
func (s *trial) another() {
	other := s.relay.beside()
	other.start()
	s.sleep(500, 4000)
	if s.relay.ended() || other.ended() {
		s.t.Fatal("one of two relays has given up")
	}
	if s.random.IntN(2) == 0 {
		s.relay, other = other, s.relay
	}
	other.kill()
}

func (s *trial) killBroker() {
	b := s.b.(mortal)
	b.stop()
	s.sleep(0, 600)
	b.start(s.t)
	s.sleep(0, 2000)
}

func (s *trial) cutLink() {
	l := s.b.(linked).line()
	for range 1 + s.random.IntN(4) {
		l.cut()
		s.sleep(0, 700)
	}
}

func (s *trial) slowLink() {
	l := s.b.(linked).line()
	l.bad(3*time.Millisecond, 10)
	defer l.bad(0, 0)
	s.sleep(1000, 6000)
}

// walsender is the process that has the slot, 0 where there is none.
func (s *trial) walsender() (pid int) {
	s.value(&pid, "SELECT coalesce((SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1), 0)", s.name)
	return pid
}

func (s *trial) endWalsender() {
	var ended bool
	s.value(&ended, "SELECT coalesce((SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1), false)", s.name)
}

// near tells whether the server's processes can be sent signals.
func (s *trial) near() bool {
	var pid int
	s.value(&pid, "SELECT pg_backend_pid()")
	host := os.Getenv("PGHOST")
	return strings.HasPrefix(host, "/") && syscall.Kill(pid, 0) == nil
}

func (s *trial) stillWalsender() {
	if pid := s.walsender(); pid != 0 && syscall.Kill(pid, 0) == nil {
		s.still(pid, 200, 4000)
	}
}

// killWalsender has the server end all others, and recover.
func (s *trial) killWalsender() {
	if pid := s.walsender(); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
