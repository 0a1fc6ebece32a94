package change

import (
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
)

// codecs of compressed batches, by their number. Each fills dst with exactly what is
// compressed in src, or returns false; limit is the most that may be allocated.
var codecs = map[uint64]func(dst, src []byte, limit int) bool{
	1: inflateLZ4,
	2: inflateZstd,
}

// compressed is what a batch says of the batch inside of it.
type compressed struct {
	data  []byte
	codec uint64
	size  uint64
}

// inflate gives the batch inside, in buffer if there is room. Its size is looked at before
// anything is allocated.
func (c *compressed) inflate(buffer []byte, limits schema.Limits) ([]byte, error) {
	codec := codecs[c.codec]
	switch {
	case codec == nil:
		return nil, fault.Damaged("batch is compressed in a way that this version does not know")
	case c.size == 0 || c.size > uint64(limits.MaxBatchBytes):
		return nil, fault.Damaged("compressed batch is larger than the limit")
	case !plausible(c):
		return nil, fault.Damaged("batch does not decompress")
	}
	raw := slices.Grow(buffer[:0], int(c.size))[:c.size]
	if !codec(raw, c.data, limits.MaxBatchBytes) {
		return nil, fault.Damaged("batch does not decompress")
	}
	return raw, nil
}

// plausible tells whether so many bytes can come out of these.
func plausible(c *compressed) bool {
	if c.codec != 2 {
		return c.size/255 <= uint64(len(c.data))
	}
	var header zstd.Header
	return header.Decode(c.data) == nil && header.HasFCS && header.FrameContentSize == c.size
}

func inflateLZ4(dst, src []byte, _ int) bool {
	n, err := lz4.UncompressBlock(src, dst)
	return err == nil && n == len(dst)
}

// Decoders by the limit that they keep to.
var zstdDecoders sync.Map

func inflateZstd(dst, src []byte, limit int) bool {
	decoder, ok := zstdDecoders.Load(limit)
	if !ok {
		made, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limit)))
		if err != nil {
			return false
		}
		decoder, _ = zstdDecoders.LoadOrStore(limit, made)
	}
	out, err := decoder.(*zstd.Decoder).DecodeAll(src, dst[:0])
	return err == nil && len(out) == len(dst)
}
