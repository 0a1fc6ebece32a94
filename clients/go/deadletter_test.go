package cdc_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/clients/go/cdctest"
	"github.com/pgcdc/cdc/clients/go/cdcv1"
)

// troubled adds a batch, a bad one and another, and says how the bad one is bad.
var troubled = map[cdc.Reason]func(s *cdctest.Source){
	cdc.ReasonDamage: func(s *cdctest.Source) {
		s.AddBatch([]byte("\x0a\xff nonsense"), 0)
	},
	cdc.ReasonUnknownSchema: func(s *cdctest.Source) {
		b := s.Transaction()
		b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpInsert, Schema: 4711}}
		b.EventCount = 1
		s.Add(b)
	},
	cdc.ReasonFailure: func(s *cdctest.Source) {
		fingerprint, table := cdctest.Table("public", "t")
		b := s.Transaction()
		b.Schemas = []*cdcv1.SchemaVersion{{Fingerprint: uint64(fingerprint), Table: table}}
		b.Events = []*cdcv1.ChangeEvent{{Op: cdc.OpInsert, Schema: uint64(fingerprint),
			Failure: &cdcv1.Failure{Sqlstate: "22P05", Message: "no such character", Column: 2}}}
		b.EventCount = 1
		s.Add(b)
	},
}

func TestTrouble(t *testing.T) {
	for reason, add := range troubled {
		for policy, name := range map[cdc.Policy]string{cdc.PolicyStop: "stop", cdc.PolicySkip: "skip", cdc.PolicyDeadLetter: "dead letter"} {
			t.Run(string(reason)+" "+name, func(t *testing.T) {
				source := cdctest.NewSource("s")
				dir := t.TempDir()
				metrics := newMeter()
				stream := opened(t, source, func(c *cdc.Config) {
					c.OnDamage, c.OnUnknownSchema, c.OnFailure = policy, policy, policy
					c.DeadLetters, c.Metrics = cdc.DeadLetterDir(dir), metrics
				})
				source.Insert("public", "t", "a")
				add(source)
				source.Insert("public", "t", "b")
				if _, keys := next(t, stream); keys != "a" {
					t.Fatal(keys)
				}
				if policy == cdc.PolicyStop {
					_, err := stream.Next(timeout(t, 5*time.Second))
					var failure *cdc.Failure
					if !errors.Is(err, cdc.ErrDamaged) && !errors.As(err, &failure) {
						t.Fatal(err)
					}
					if flushed(source) > 0x1000 {
						t.Error("acknowledged", flushed(source))
					}
				} else {
					_, keys := next(t, stream)
					for keys == "" { // the transaction that the bad event was in
						_, keys = next(t, stream)
					}
					if keys != "b" {
						t.Fatal(keys)
					}
				}
				if n := metrics.count(cdc.DeadLettersTotal, string(reason)); (n == 1) != (policy != cdc.PolicyStop) {
					t.Errorf("%d letters counted", n)
				}
				letters, _ := filepath.Glob(filepath.Join(dir, "s-*-"+string(reason)+"-*.pb"))
				if (len(letters) == 1) != (policy == cdc.PolicyDeadLetter) {
					t.Fatal(letters)
				}
				if policy == cdc.PolicyDeadLetter {
					checkLetter(t, letters[0], reason)
				}
			})
		}
	}
}

// A letter is a batch that can be read alone, for its owner's eyes.
func checkLetter(t *testing.T, name string, reason cdc.Reason) {
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	why, err := os.ReadFile(name[:len(name)-3] + ".json")
	if err != nil || !bytes.Contains(why, []byte(`"reason":"`+string(reason)+`"`)) {
		t.Fatal(string(why), err)
	}
	raw := readBatch(t, name)
	if reason == cdc.ReasonFailure {
		b, err := cdc.ParseBatch(raw, cdc.NewSchemaCache(cdc.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		line, err := b.AppendJSON(nil)
		if err != nil || !bytes.Contains(line, []byte(`"failure":{"sqlstate":"22P05","message":"no such character","column":2}`)) {
			t.Fatal(string(line), err)
		}
		if source, err := b.Source(); source == nil || err != nil {
			t.Fatal("a letter without source", err)
		}
	}
}

func TestReject(t *testing.T) {
	source := cdctest.NewSource("s")
	dir := t.TempDir()
	stream := opened(t, source, func(c *cdc.Config) {
		c.OnHandlerError, c.DeadLetters = cdc.PolicyDeadLetter, cdc.DeadLetterDir(dir)
	})
	source.Insert("public", "t", "a")
	txn, _ := next(t, stream)
	if err := stream.Reject(timeout(t, time.Second), txn, io.ErrShortWrite); err != nil {
		t.Fatal(err)
	}
	eventually(t, "acknowledged", func() bool { return flushed(source) >= txn.EndLSN })
	if letters, _ := filepath.Glob(filepath.Join(dir, "s-*-handler-*.pb")); len(letters) != 1 {
		t.Fatal(letters)
	}

	source = cdctest.NewSource("s")
	stream = opened(t, source, nil)
	source.Insert("public", "t", "a")
	txn, _ = next(t, stream)
	if err := stream.Reject(timeout(t, time.Second), txn, io.ErrShortWrite); !errors.Is(err, io.ErrShortWrite) {
		t.Fatal("policy stop:", err)
	}
	if _, err := stream.Next(timeout(t, time.Second)); err == nil || flushed(source) >= txn.EndLSN {
		t.Fatal("it went on:", err)
	}
}
