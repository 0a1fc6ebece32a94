package kafka

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lz4Compressor makes frames of LZ4 in the room that it is given. The library's own writer has 8 MB of buffers, copies what
// it is given, and sums it up though batches have a sum of their own.
type lz4Compressor struct{ pool sync.Pool }

func newLZ4() *lz4Compressor {
	return &lz4Compressor{sync.Pool{New: func() any { return new(lz4.Compressor) }}}
}

// Parts of a frame.
const (
	lz4Block = 256 << 10
	lz4Raw   = 1 << 31 // a block that is not compressed
)

// lz4Begin is a frame's magic number, its flags (version 1, independent blocks, no sums), the size of blocks (256 KiB),
// and a sum of the two.
var lz4Begin = []byte{0x04, 0x22, 0x4d, 0x18, 0x60, 0x50, 0xfb}

// Compress implements kgo.Compressor.
func (c *lz4Compressor) Compress(room *bytes.Buffer, src []byte, _ ...kgo.CompressFlag) ([]byte, kgo.CompressionCodecType) {
	compressor := c.pool.Get().(*lz4.Compressor)
	defer c.pool.Put(compressor)
	room.Grow(len(lz4Begin) + 4 + len(src) + 4*(len(src)/lz4Block+1))
	dst := append(room.AvailableBuffer(), lz4Begin...)
	for block := range slices.Chunk(src, lz4Block) {
		at := len(dst)
		body := dst[at+4 : at+4+len(block)] // what does not fit is sent as it is
		n, err := compressor.CompressBlock(block, body)
		size := uint32(n)
		if err != nil || n == 0 {
			n = copy(body, block)
			size = lz4Raw | uint32(n)
		}
		dst = binary.LittleEndian.AppendUint32(dst, size)[:at+4+n]
	}
	return binary.LittleEndian.AppendUint32(dst, 0), kgo.CodecLz4
}
