package change

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
)

// goldenFiles gives the paths without extension.
func goldenFiles(t testing.TB) []string { return streams(t, "../../../test/golden/*.pb") }

// releasedFiles are those of former releases.
func releasedFiles(t testing.TB) []string { return streams(t, "../../../test/release/*/golden/*.pb") }

func streams(t testing.TB, pattern string) []string {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], ".pb")
	}
	return files
}

func readFile(t testing.TB, name string) []byte {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// decodeFile gives the JSON form of a file.
func decodeFile(data []byte) ([]byte, error) {
	r := NewFileReader(bytes.NewReader(data), schema.Limits{})
	schemas := schema.NewCache(schema.Limits{})
	var w JSONWriter
	var b Batch
	var out []byte
	for {
		raw, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err == nil {
			err = b.Parse(raw, schemas)
		}
		if err == nil {
			out, err = w.AppendBatch(out, &b)
		}
		if err != nil {
			return out, err
		}
	}
}

func TestGolden(t *testing.T) {
	for _, name := range append(goldenFiles(t), releasedFiles(t)...) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			pb, want := readFile(t, name+".pb"), readFile(t, name+".json")
			got, err := decodeFile(pb)
			if err != nil {
				t.Fatal(err)
			}
			compareLines(t, got, want)
			// The three forms of a file: with the newline in front, behind, in between.
			if len(pb) > 0 {
				got, err = decodeFile(append(bytes.Clone(pb[1:]), '\n'))
				if err != nil {
					t.Fatal(err)
				}
				compareLines(t, got, want)
			}
		})
	}
}

func compareLines(t *testing.T, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range w {
		if i >= len(g) || g[i] != w[i] {
			t.Fatalf("line %d\n got %.600s\nwant %.600s", i+1, strings.Join(g[min(i, len(g)):], "\n"), w[i])
		}
	}
	t.Fatalf("%d lines, want %d", len(g), len(w))
}

// Every file that is cut somewhere is damaged, unless it ends with a batch.
func TestCutFiles(t *testing.T) {
	for _, name := range goldenFiles(t) {
		pb := readFile(t, name+".pb")
		if len(pb) == 0 || len(pb) > 8000 {
			continue
		}
		ends := map[int]bool{0: true, 1: true}
		for at := 1; at < len(pb); at++ {
			size, n := uvarint(pb[at:])
			at += n + size
			ends[at], ends[at+1] = true, true
		}
		for n := range pb {
			_, err := decodeFile(pb[:n])
			if ends[n] != (err == nil) || err != nil && !errors.Is(err, fault.ErrDamaged) {
				t.Fatalf("%s cut at %d: %v", name, n, err)
			}
		}
	}
}

func uvarint(b []byte) (v, n int) {
	for shift := 0; ; shift += 7 {
		v |= int(b[n]&0x7F) << shift
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
}

// A damaged byte is an error or another reading, never a panic.
func TestDamagedFiles(t *testing.T) {
	for _, name := range goldenFiles(t) {
		pb := readFile(t, name+".pb")
		for at := 0; at < len(pb); at += 1 + len(pb)/2000 {
			for _, bit := range []byte{0x01, 0x08, 0x80} {
				damaged := bytes.Clone(pb)
				damaged[at] ^= bit
				if _, err := decodeFile(damaged); err != nil && !errors.Is(err, fault.ErrDamaged) {
					t.Fatalf("%s at %d: %v", name, at, err)
				}
			}
		}
	}
}
