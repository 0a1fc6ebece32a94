package live

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a folder that has room for so much.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cdc-disk-")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		os.Remove(dir)
		t.Skip("to mount a small disk takes root, or a namespace of one's own (relay/long.sh): ", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Unmount(dir, syscall.MNT_DETACH), os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the room that is left, until it is given back.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for len(block) > 0 {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() { os.Remove(f.Name()) }
}

// fullDisk has a broker's disk be full for a while. Then it is started again, as both must be: Kafka ends, and
// JetStream takes nothing any more. The relay has to wait; every other time it is killed meanwhile.
func fullDisk(dir string) fault {
	return fault{name: "the broker's disk is full", weight: 10, happens: func(s *trial) {
		free := fill(s.t, dir)
		s.sleep(1000, 3000)
		if s.random.IntN(2) == 0 {
			s.relay.kill()
			s.running()
		}
		s.sleep(1000, 3000)
		free()
		b := s.b.(mortal)
		b.stop()
		b.start(s.t)
		s.running()
		s.recovered()
	}}
}

func onFullDisk(t *testing.T, name string, b broker, full fault) {
	(&trial{name: name, b: b, faults: []fault{full}, rounds: min(max(3, *rounds/10), 20)}).run(t)
}

func TestFullDiskOfNATS(t *testing.T) {
	if testing.Short() {
		t.Skip("it is not for short runs")
	}
	dir := smallDisk(t, "512m")
	e := &external{embedded: embedded{filepath.Join(dir, "nats"), freePort(t)}, hold: time.Second}
	e.start(t)
	t.Cleanup(e.stop)
	onFullDisk(t, "relay_full_nats", e, fullDisk(dir))
}

func TestFullDiskOfKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("it is not for short runs")
	}
	dir := smallDisk(t, "512m")
	onFullDisk(t, "relay_full_kafka", newKafkaIn(t, dir), fullDisk(dir))
}
