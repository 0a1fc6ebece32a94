// Package slab gives memory for what is made of events: one allocation for many pieces, which serves again
// when nothing of it is needed any more.
package slab

import "strings"

// Slab gives pieces of larger allocations. The zero value gives nothing: Size has to be set. Until Reuse is called
// first, a piece is garbage together with the others of its allocation, which are of about the same time.
type Slab[T any] struct {
	// Size of an allocation, in Ts. What takes more than an eighth of it has one of its own.
	Size int
	// Keep is how many allocations serve again at most.
	Keep int
	// Clean: what serves again is zero, and holds nothing else in memory.
	Clean bool

	chunk   []T
	used    int
	reusing bool
	full    [][]T // in their order
	free    [][]T
}

// Take gives a piece with room for n.
func (s *Slab[T]) Take(n int) []T {
	if s.used+n > len(s.chunk) {
		if n > s.Size/8 { // would waste too much
			return make([]T, 0, n)
		}
		s.next()
	}
	s.used += n
	return s.chunk[s.used-n : s.used-n : s.used]
}

// next begins another allocation.
func (s *Slab[T]) next() {
	if s.reusing && s.chunk != nil {
		s.full = append(s.full, s.chunk)
		if len(s.full)+len(s.free) > s.Keep { // the oldest becomes garbage when its pieces do
			s.full[0] = nil
			s.full = s.full[1:]
		}
	}
	s.used = 0
	if n := len(s.free); n > 0 {
		s.chunk, s.free = s.free[n-1], s.free[:n-1]
		return
	}
	s.chunk = make([]T, s.Size)
}

// Reuse says that nobody needs the pieces any more that were taken so far, but for those of the event at hand and of the
// one before it. These are in the allocation at hand or in the one before it: an event takes less than half of one.
func (s *Slab[T]) Reuse() {
	s.reusing = true
	n := max(len(s.full)-1, 0)
	for _, chunk := range s.full[:n] {
		if s.Clean {
			clear(chunk)
		}
		s.free = append(s.free, chunk)
	}
	s.full = append(s.full[:0:0], s.full[n:]...)
}

// Trim takes back what is not needed of the piece that was taken last, but for some room behind it.
func (s *Slab[T]) Trim(piece []T, room int) []T {
	spare := cap(piece) - len(piece) - room
	last := s.used > 0 && cap(piece) > 0 && &piece[:cap(piece)][cap(piece)-1] == &s.chunk[s.used-1]
	if !last || spare <= 0 {
		return piece
	}
	s.used -= spare
	return piece[: len(piece) : len(piece)+room]
}

// Texts keeps short texts, likewise. They never serve again: who has one may keep it.
type Texts struct{ b strings.Builder }

const textsSize = 16 << 10

// Keep copies a text.
func (t *Texts) Keep(text []byte) string {
	if t.b.Cap()-t.b.Len() < len(text) {
		t.b.Reset()
		t.b.Grow(max(textsSize, len(text)))
	}
	at := t.b.Len()
	t.b.Write(text)
	return t.b.String()[at:]
}
