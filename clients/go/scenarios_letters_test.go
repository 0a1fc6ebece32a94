package cdc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

var _ = addScenarios(map[string]func(*testing.T){
	"letters-each-event":    lettersEachEvent,
	"letters-before-ack":    lettersBeforeAck,
	"letters-shared-folder": lettersSharedFolder,
	"letters-again":         lettersAgain,
	"letters-name":          lettersName,
	"letters-streamed":      lettersStreamed,
	"letters-read":          lettersRead,
	"cuts-golden":           func(*testing.T) {}, // TestGoldenCuts, beside what is not exported
})

// inParts adds a transaction of n events in parts; change sees each before it is added.
func inParts(s *cdctest.Source, n, parts int, change func(*cdcv1.Batch)) {
	whole := s.Transaction()
	fingerprint, table := cdctest.Table("public", "t")
	for part := range parts {
		b := &cdcv1.Batch{Transaction: whole.Transaction, Part: uint32(part), Outcome: cdc.OutcomeOpen}
		if part == 0 {
			b.Source, b.Schemas = whole.Source, []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
		}
		for i := n * part / parts; i < n*(part+1)/parts; i++ {
			b.Events = append(b.Events, &cdcv1.ChangeEvent{Op: cdc.OpInsert, LsnOffset: uint64(i), Schema: uint64(fingerprint),
				Key: fmt.Appendf([]byte{0x0a, 5}, "%05d", i)})
		}
		if part == parts-1 {
			b.Outcome, b.EndLsn, b.EventCount = cdc.OutcomeCommitted, whole.EndLsn, uint64(n)
		}
		if change != nil {
			change(b)
		}
		s.Add(b)
	}
}

func rejecting(dir cdc.DeadLetterSink) func(*cdc.Config) {
	return func(c *cdc.Config) { c.OnHandlerError, c.DeadLetters = cdc.PolicyDeadLetter, dir }
}

// readBatch gives the bytes of a file's first batch.
func readBatch(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := cdc.NewFileReader(bytes.NewReader(data), cdc.Limits{}).Next()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(raw)
}

// readLetter gives the lines of a letter, which is read alone.
func readLetter(t *testing.T, name string) (*cdc.Batch, string) {
	t.Helper()
	b, err := cdc.ParseBatch(readBatch(t, name), cdc.NewSchemaCache(cdc.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	line, err := b.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b, string(line)
}

func eventLines(t *testing.T, txn *cdc.Txn) (out []string) {
	t.Helper()
	var w cdc.JSONWriter
	for e, err := range txn.Events() {
		if err != nil {
			t.Fatal(err)
		}
		line, err := w.AppendEvent(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(line)+"\n")
	}
	return out
}

// quickFolder is where syncing costs nothing, if there is such a place.
func quickFolder(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "letters")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func lettersEachEvent(t *testing.T) {
	const n = 10000
	dir := quickFolder(t)
	source, metrics := cdctest.NewSource("s"), newMeter()
	stream := opened(t, source, func(c *cdc.Config) { rejecting(cdc.DeadLetterDir(dir))(c); c.Metrics = metrics })
	inParts(source, n, 8, nil)
	txn, _ := next(t, stream)
	want := eventLines(t, txn)
	if err := stream.Reject(context.Background(), txn, io.ErrShortWrite); err != nil {
		t.Fatal(err)
	}
	pb, _ := filepath.Glob(dir + "/*.pb")
	why, _ := filepath.Glob(dir + "/*.json")
	if len(pb) != n || len(why) != n || metrics.count(cdc.DeadLettersTotal, "handler") != n {
		t.Fatalf("%d letters, %d reasons, %d counted", len(pb), len(why), metrics.count(cdc.DeadLettersTotal, "handler"))
	}
	got := map[string]bool{}
	for _, name := range pb {
		_, line := readLetter(t, name)
		got[line] = true
	}
	for _, line := range want {
		if !got[line] {
			t.Fatal("no letter has ", line)
		}
	}
	eventually(t, "acknowledged", func() bool { return flushed(source) >= txn.EndLSN })
}

// failing is a sink that fails at the nth letter.
type failing struct {
	n    int
	sink cdc.DeadLetterSink
}

func (f *failing) Put(ctx context.Context, l *cdc.DeadLetter) error {
	if f.n--; f.n == 0 {
		return errors.New("the disk is full")
	}
	return f.sink.Put(ctx, l)
}

func lettersBeforeAck(t *testing.T) {
	source, dir := cdctest.NewSource("s"), t.TempDir()
	store := cdc.FileStore(filepath.Join(t.TempDir(), "checkpoint"))
	stream := opened(t, source, func(c *cdc.Config) { rejecting(&failing{3, cdc.DeadLetterDir(dir)})(c); c.Store = store })
	inParts(source, 9, 3, nil)
	txn, _ := next(t, stream)
	if err := stream.Reject(timeout(t, time.Second), txn, io.ErrShortWrite); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatal(err)
	}
	_ = stream.Close()
	if flushed(source) >= txn.EndLSN {
		t.Fatal("acknowledged")
	}
	stream = opened(t, source, func(c *cdc.Config) { rejecting(cdc.DeadLetterDir(dir))(c); c.Store = store })
	again, _ := next(t, stream)
	if again.Position() != txn.Position() {
		t.Fatal(again.Position())
	}
	if err := stream.Reject(timeout(t, time.Second), again, io.ErrShortWrite); err != nil {
		t.Fatal(err)
	}
	if pb, _ := filepath.Glob(dir + "/*.pb"); len(pb) != 9 {
		t.Fatal(pb)
	}
}

func lettersSharedFolder(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for _, slot := range []string{"a", "b", "b of another system"} {
		all.Add(1)
		source := cdctest.NewSource("s")
		name := slot[:1]
		stream := opened(t, source, func(c *cdc.Config) { rejecting(cdc.DeadLetterDir(dir))(c); c.Slot = name })
		inParts(source, 50, 1, func(b *cdcv1.Batch) {
			b.Transaction.CommitTime = 1
			if slot != name {
				b.Source.SystemIdentifier = 2
			}
		})
		txn, _ := next(t, stream)
		go func() {
			defer all.Done()
			if err := stream.Reject(context.Background(), txn, io.ErrShortWrite); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	files, _ := os.ReadDir(dir)
	if len(files) != 3*2*50 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		if strings.HasPrefix(file.Name(), ".") {
			t.Fatal(file.Name())
		}
	}
}

func letter() *cdc.DeadLetter {
	position, _ := cdc.ParsePosition("16/B374D848/16/B374D700/3")
	return &cdc.DeadLetter{Slot: "s", Reason: cdc.ReasonHandler, Err: io.EOF, Batch: []byte{1, 2}, Position: position}
}

func lettersAgain(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if err := cdc.DeadLetterDir(dir).Put(context.Background(), letter()); err != nil {
			t.Fatal(err)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 2 {
		t.Fatal(files)
	}
}

func lettersName(t *testing.T) {
	dir := t.TempDir()
	strange := letter()
	strange.Slot = "../A"
	for name, l := range map[string]*cdc.DeadLetter{
		"s-16-B374D848-16-B374D700-3-handler-a12871fee210fb86":            letter(),
		"%2E%2E%2F%41-16-B374D848-16-B374D700-3-handler-a12871fee210fb86": strange,
		"s-0-0-0-0-0-damage-a12871fee210fb86":                             {Slot: "s", Reason: cdc.ReasonDamage, Err: io.EOF, Batch: []byte{1, 2}},
	} {
		if err := cdc.DeadLetterDir(dir).Put(context.Background(), l); err != nil {
			t.Fatal(err)
		}
		for _, end := range []string{".pb", ".json"} {
			if info, err := os.Stat(filepath.Join(dir, name+end)); err != nil || info.Mode().Perm() != 0o600 {
				t.Error(name, err)
			}
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 6 {
		t.Fatal(files)
	}
}

func lettersStreamed(t *testing.T) {
	source, dir := cdctest.NewSource("s"), t.TempDir()
	stream := opened(t, source, rejecting(cdc.DeadLetterDir(dir)))
	var commit uint64
	inParts(source, 6, 3, func(b *cdcv1.Batch) {
		header := &cdcv1.Transaction{Xid: b.Transaction.Xid, FirstLsn: b.Transaction.FirstLsn}
		commit = b.Transaction.CommitLsn
		if b.Outcome != cdc.OutcomeOpen {
			header = &cdcv1.Transaction{Xid: header.Xid, FirstLsn: header.FirstLsn, CommitLsn: commit,
				CommitTime: 1700000000000000, Metadata: map[string]string{"user": "é"}}
		}
		b.Transaction = header
	})
	txn, _ := next(t, stream)
	want := eventLines(t, txn)
	if err := stream.Reject(timeout(t, 10*time.Second), txn, io.ErrShortWrite); err != nil {
		t.Fatal(err)
	}
	pb, _ := filepath.Glob(dir + "/*.pb")
	if len(pb) != 6 {
		t.Fatal(pb)
	}
	for _, name := range pb {
		b, line := readLetter(t, name)
		if uint64(b.Transaction.CommitLSN) != commit || b.Transaction.CommitTimeUS != 1700000000000000 ||
			len(b.Transaction.Metadata) != 1 || !strings.Contains(strings.Join(want, ""), line) {
			t.Fatal(line)
		}
	}
}

var tailDir string

var tailBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cdc-tail")
	if err != nil {
		return "", err
	}
	tailDir = dir
	out, err := exec.Command("go", "build", "-o", dir, "./cmd/cdc-tail").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return filepath.Join(dir, "cdc-tail"), nil
})

// tail gives the program, built once for all tests.
func tail(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	name, err := tailBinary()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(name, args...)
}

// removeTail removes what tail has built.
func removeTail() {
	if tailDir != "" {
		_ = os.RemoveAll(tailDir)
	}
}

func lettersRead(t *testing.T) {
	d := live(t)
	d.exec("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (a int[])")
	dir := quickFolder(t)
	config := d.config(t)
	rejecting(cdc.DeadLetterDir(dir))(&config)
	stream := d.open(config)
	d.exec(`BEGIN; SELECT cdc.set_metadata('k', 'v'); INSERT INTO t SELECT i, repeat('é', 100) FROM generate_series(1, 500) i;
		SELECT pg_logical_emit_message(true, 'p', 'x'); INSERT INTO u VALUES ('{1,NULL}'); COMMIT`)
	txn := receive(t, stream)
	n := 0
	for range txn.Batches() {
		n++
	}
	if n < 2 {
		t.Fatal("the transaction is one batch")
	}
	want := strings.Join(eventLines(t, txn), "")
	if err := stream.Reject(context.Background(), txn, io.ErrShortWrite); err != nil {
		t.Fatal(err)
	}
	pb, _ := filepath.Glob(dir + "/*.pb")
	if len(pb) != txn.Len() {
		t.Fatal(len(pb), txn.Len())
	}
	for i, name := range pb {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got := d.value(fmt.Sprintf(`SELECT string_agg(j::text, E'\n') FROM cdc.decode_json('\x%x') j`, data))
		if !strings.Contains(want, got+"\n") {
			t.Fatal(got)
		}
		if i%50 > 0 {
			continue
		}
		if out, err := tail(t, "--json", "--file", name).CombinedOutput(); err != nil || string(out) != got+"\n" {
			t.Fatal(string(out), err)
		}
	}
}
