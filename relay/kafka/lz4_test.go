package kafka

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Frames are read to what they were made of, by the library and by another reader, whatever it is and how long.
func TestLZ4Frames(t *testing.T) {
	random := make([]byte, 3*lz4Block)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(random)
	text := bytes.Repeat([]byte("a text that comes again and again, "), len(random)/35)
	c, room := newLZ4(), new(bytes.Buffer)
	for _, n := range []int{1, 12, 13, 1000, lz4Block - 1, lz4Block, lz4Block + 1, 2*lz4Block + 5, len(text)} {
		for name, all := range map[string][]byte{"text": text, "random": random, "both": append(text[:n/2:n/2], random...)} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				room.Reset()
				frame, codec := c.Compress(room, all[:n])
				if codec != kgo.CodecLz4 {
					t.Errorf("the codec is %v", codec)
				}
				got, err := kgo.DefaultDecompressor().Decompress(frame, codec)
				if err != nil || !bytes.Equal(got, all[:n]) {
					t.Errorf("the library reads %d bytes: %v", len(got), err)
				}
				got, err = io.ReadAll(lz4.NewReader(bytes.NewReader(frame)))
				if err != nil || !bytes.Equal(got, all[:n]) {
					t.Errorf("another reader has %d bytes: %v", len(got), err)
				}
				if name == "text" && n > 10000 && len(frame) > n/50 {
					t.Errorf("%d bytes are %d", n, len(frame))
				}
			})
		}
	}
}
