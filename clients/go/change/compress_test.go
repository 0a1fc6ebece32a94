package change

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/wire"
	"github.com/pgcdc/cdc/clients/go/schema"
)

// compressors by the number of their codec.
var compressors = map[uint64]func(raw []byte) []byte{
	1: func(raw []byte) []byte {
		out := make([]byte, lz4.CompressBlockBound(len(raw)))
		n, err := lz4.CompressBlock(raw, out, nil)
		if err != nil || n == 0 { // it does not shrink: literals alone
			return literals(raw)
		}
		return out[:n]
	},
	2: func(raw []byte) []byte {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
		if err != nil {
			panic(err)
		}
		return w.EncodeAll(raw, nil)
	},
}

// literals is a block of LZ4 that has the bytes as they are.
func literals(raw []byte) (out []byte) {
	n := len(raw)
	if n < 15 {
		return append([]byte{byte(n << 4)}, raw...)
	}
	out = []byte{0xF0}
	for n -= 15; n >= 255; n -= 255 {
		out = append(out, 255)
	}
	return append(append(out, byte(n)), raw...)
}

func packed(codec, size uint64, data []byte) (out []byte) {
	out = wire.AppendVarint(wire.AppendVarint(nil, batchCodec<<3), codec)
	out = wire.AppendVarint(wire.AppendVarint(out, batchRawSize<<3), size)
	return wire.AppendLen(out, batchCompressed, data)
}

func compress(t testing.TB, codec uint64, raw []byte) []byte {
	t.Helper()
	return packed(codec, uint64(len(raw)), compressors[codec](raw))
}

// A compressed batch is the batch inside of it.
func TestCompressed(t *testing.T) {
	for _, name := range goldenFiles(t) {
		pb := readFile(t, name+".pb")
		r := NewFileReader(bytes.NewReader(pb), schema.Limits{})
		schemas := schema.NewCache(schema.Limits{})
		for {
			raw, err := r.Next()
			if err != nil {
				break
			}
			plain, err := ParseBatch(bytes.Clone(raw), schemas)
			if err != nil {
				t.Fatal(err)
			}
			want, err := plain.AppendJSON(nil)
			if err != nil {
				t.Fatal(err)
			}
			if plain.inflated != nil {
				continue // as the server sends it; the file's lines are looked at elsewhere
			}
			for codec := range compressors {
				b, err := ParseBatch(compress(t, codec, raw), schemas)
				if err != nil {
					t.Fatal(name, codec, err)
				}
				got, err := b.AppendJSON(nil)
				if err != nil || !bytes.Equal(got, want) || !bytes.Equal(b.Raw(), raw) || b.Len() != plain.Len() {
					t.Fatalf("%s, codec %d: %v\n%s\n%s", name, codec, err, got, want)
				}
			}
		}
	}
}

// What does not become what it says is damage, before there is memory for it.
func TestCompressedDamage(t *testing.T) {
	raw, _ := wideBatch(t, 50)
	size := uint64(len(raw))
	zeros := make([]byte, 64<<20)
	for codec, pack := range compressors {
		data := pack(raw)
		bomb := pack(zeros)
		cases := map[string][]byte{
			"too small":           packed(codec, size-1, data),
			"too large":           packed(codec, size+1, data),
			"no size":             packed(codec, 0, data),
			"beyond the limit":    packed(codec, 2<<30, data),
			"beyond all":          packed(codec, math.MaxUint64, data),
			"cut":                 packed(codec, size, data[:len(data)/2]),
			"nothing":             packed(codec, size, nil),
			"another codec":       packed(3-codec, size, data),
			"an unknown codec":    packed(9, size, data),
			"no codec":            packed(0, size, data),
			"of a compressed one": compress(t, codec, compress(t, codec, raw)),
			"two":                 packed(codec, size, append(bytes.Clone(data), data...)),
			"a bomb":              packed(codec, size, bomb),
			"a bomb that says so": packed(codec, uint64(len(zeros)), bomb),
			"more than it says":   packed(codec, size, append(bytes.Clone(data), bomb...)),
			"of noise":            compress(t, codec, bytes.Repeat([]byte{0xFF}, 1000)),
		}
		limited := schema.NewCache(schema.Limits{MaxBatchBytes: 32 << 20})
		for name, batch := range cases {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := ParseBatch(batch, limited)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, fault.ErrDamaged) {
				t.Errorf("codec %d, %s: %v", codec, name, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 48<<20 {
				t.Errorf("codec %d, %s: %d bytes were allocated", codec, name, used)
			}
		}
	}
}
