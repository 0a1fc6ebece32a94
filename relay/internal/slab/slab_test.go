package slab

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// A piece of a slab has room of its own, whatever is taken and given back.
func TestSlabsDoNotOverlap(t *testing.T) {
	s := Slab[byte]{Size: 64}
	var pieces [][]byte
	for i := range 200 {
		n := i % 13
		piece := s.Take(n + 3)
		for range n {
			piece = append(piece, byte(i))
		}
		pieces = append(pieces, append(s.Trim(piece, 2), byte(i))) // into the room that was left
	}
	for i, piece := range pieces {
		if len(piece) != i%13+1 {
			t.Fatalf("piece %d has %d bytes", i, len(piece))
		}
		for _, b := range piece {
			if b != byte(i) {
				t.Fatalf("piece %d is %v", i, piece)
			}
		}
	}
}

// What is said to be free serves again, and the pieces of the event at hand and of the one before it are left alone.
func TestSlabsServeAgain(t *testing.T) {
	s := Slab[byte]{Size: 64, Keep: 16, Clean: true}
	random := rand.New(rand.NewPCG(1, 2))
	var before []byte
	piece := func(i int) []byte {
		p := s.Take(1 + random.IntN(12)) // some are too large for the allocation
		for range cap(p) {
			p = append(p, byte(i))
		}
		return p
	}
	seen := map[*byte]bool{}
	for i := range 10_000 {
		now := piece(i)
		if random.IntN(40) == 0 {
			s.Reuse()
		}
		for _, chunk := range append(s.full, s.chunk) {
			if chunk != nil {
				seen[&chunk[0]] = true
			}
		}
		for j, p := range [][]byte{before, now} {
			if !bytes.Equal(p, bytes.Repeat([]byte{byte(i - 1 + j)}, len(p))) {
				t.Fatalf("at %d: %v", i, p)
			}
		}
		before = now
	}
	if len(seen) > 40 {
		t.Errorf("%d allocations", len(seen))
	}
}

// What serves again is clean, and of what is never given back only so much is kept.
func TestSlabsAreCleanAndBounded(t *testing.T) {
	s := Slab[*int]{Size: 8, Keep: 4, Clean: true}
	for range 5 {
		s.Reuse()
		for range 1000 {
			p := s.Take(1)[:1]
			if p[0] != nil {
				t.Fatal("a piece has something in it")
			}
			p[0] = new(int)
		}
		if n := len(s.full) + len(s.free); n > 4 {
			t.Fatalf("%d allocations are kept", n)
		}
	}
}
