// Package checkpoint keeps the checkpoint of the slot's client on the bus: where the log is,
// is also what is known of it.
package checkpoint

import (
	"context"
	"fmt"
	"sync"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

// Store is a cdc.CheckpointStore over a bus. Until the bus is claimed it writes nothing: that
// is only done by the one who has the slot.
type Store struct {
	bus bus.Bus

	mu      sync.Mutex
	held    *cdc.Checkpoint // saved before the claim
	claimed bool
	byMark  bool
}

// New makes a store.
func New(b bus.Bus) *Store { return &Store{bus: b} }

// LostError: messages that were in the log are not there any more.
type LostError struct{ Messages uint64 }

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("the log has lost its last %d messages, and the messages before them are gone, too: was the stream made anew? "+
		"What was in them cannot be sent again: load the tables anew, remove the slot's keys from the bucket of checkpoints, and make the slot anew", e.Messages)
}

// Load implements cdc.CheckpointStore.
func (s *Store) Load(ctx context.Context) (*cdc.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		c := *s.held
		return &c, nil
	}
	state, err := s.bus.Load(ctx)
	if err != nil {
		return nil, err
	}
	return s.choose(state)
}

// choose says where the client goes on. The log itself is what counts: the checkpoint may be
// older, since it is held back, and where the broker has lost its tail, the log is. What the
// client gets again is left out by the mark.
func (s *Store) choose(state bus.State) (*cdc.Checkpoint, error) {
	switch {
	case state.Lost > 0 && state.Mark == nil:
		return nil, &LostError{state.Lost}
	case state.Mark != nil && (state.Checkpoint == nil || state.Lost > 0):
		return state.Mark.Checkpoint(), nil
	case s.byMark && state.Mark != nil && state.Mark.Confirm > state.Checkpoint.EndLSN:
		return state.Mark.Checkpoint(), nil
	}
	return state.Checkpoint, nil
}

// ByMark has Load give the place of the last message where that is later: for a slot that is
// past the checkpoint, which the broker may have lost while the log is there.
func (s *Store) ByMark() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byMark, s.held = true, nil
}

// Save implements cdc.CheckpointStore.
func (s *Store) Save(ctx context.Context, c *cdc.Checkpoint) error {
	s.mu.Lock()
	if !s.claimed {
		saved := *c
		s.held = &saved
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	return s.bus.Save(ctx, c)
}

// Claim claims the bus, now that the slot is ours, and stores what was held.
func (s *Store) Claim(ctx context.Context) (bus.State, error) {
	state, err := s.bus.Claim(ctx)
	if err != nil {
		return state, err
	}
	if _, err := s.choose(state); err != nil {
		return state, err
	}
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held != nil {
		if err := s.bus.Save(ctx, held); err != nil {
			return state, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == held { // nothing newer came meanwhile
		s.held = nil
	}
	s.claimed = true
	return state, nil
}
