package cdctest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

type store struct{ c *cdc.Checkpoint }

func (s *store) Load(context.Context) (*cdc.Checkpoint, error) { return s.c, nil }
func (s *store) Save(_ context.Context, c *cdc.Checkpoint) error {
	s.c = c
	return nil
}

// A file that pg_recvlogical has recorded comes out of a stream as it went in.
func TestPlay(t *testing.T) {
	for _, name := range []string{"types", "parts", "identity", "messages", "rewrite"} {
		file, err := os.Open(filepath.Join("../../../test/golden", name+".pb"))
		if err != nil {
			t.Fatal(err)
		}
		source := NewSource("s")
		source.SetServer(func(s *cdc.Server) { s.ConfirmedFlush = 0 })
		if err := source.Play(file); err != nil {
			t.Fatal(err)
		}
		file.Close()
		want, err := os.ReadFile(filepath.Join("../../../test/golden", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := cdc.Open(context.Background(), cdc.Config{Connector: source, Slot: "s", Store: &store{}, OnFailure: cdc.PolicySkip})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		events := 0
		for end := lastEnd(source); ; {
			txn, err := stream.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range txn.Events() {
				if err != nil {
					t.Fatal(err)
				}
				events++
			}
			stream.Ack(txn)
			if txn.EndLSN == end {
				break
			}
		}
		cancel()
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
		if wanted := count(string(want), `"position":`); events != wanted {
			t.Errorf("%s: %d events, not %d", name, events, wanted)
		}
	}
}

func lastEnd(s *Source) cdc.LSN { return s.frames[len(s.frames)-1].end }

func count(s, part string) (n int) {
	for i := 0; i+len(part) <= len(s); i++ {
		if s[i:i+len(part)] == part {
			n++
		}
	}
	return n
}

func TestRefuse(t *testing.T) {
	source := NewSource("s")
	source.Refuse(errors.New("no"))
	if _, err := cdc.Open(context.Background(), cdc.Config{Connector: source, Slot: "s", Store: &store{}}); err == nil {
		t.Error("it is connected")
	}
}
