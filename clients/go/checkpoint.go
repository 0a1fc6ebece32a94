package cdc

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

// Checkpoint says how far a consumer has come.
type Checkpoint struct {
	// SystemIdentifier and Timeline of the server that the positions are of.
	SystemIdentifier uint64
	Timeline         uint32
	// Database and Slot by name.
	Database, Slot string
	// Position of the last change that is dealt with; zero if there was none yet.
	Position Position
	// EndLSN is up to where everything is dealt with: what may be reported to the
	// server as flushed, and where reading goes on.
	EndLSN LSN
}

// CheckpointStore keeps the checkpoint of one consumer. Methods are not called
// concurrently.
type CheckpointStore interface {
	// Load gives the checkpoint, nil if none was ever stored.
	Load(ctx context.Context) (*Checkpoint, error)
	// Save stores a checkpoint. When it returns without an error, the checkpoint
	// survives a crash of the machine: only then is the server told.
	Save(ctx context.Context, c *Checkpoint) error
}

// The form in which both clients write a checkpoint.
type checkpointJSON struct {
	Version          int      `json:"version"`
	SystemIdentifier string   `json:"system_identifier"`
	Timeline         uint32   `json:"timeline"`
	Database         string   `json:"database"`
	Slot             string   `json:"slot"`
	Position         Position `json:"position"`
	EndLSN           LSN      `json:"end_lsn"`
}

// MarshalJSON writes the form that the clients in all languages share.
func (c *Checkpoint) MarshalJSON() ([]byte, error) {
	return json.Marshal(checkpointJSON{1, strconv.FormatUint(c.SystemIdentifier, 10), c.Timeline,
		c.Database, c.Slot, c.Position, c.EndLSN})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Checkpoint) UnmarshalJSON(data []byte) error {
	var j checkpointJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("cdc: checkpoint: %w", err)
	}
	if j.Version != 1 {
		return fmt.Errorf("cdc: checkpoint has version %d, not 1", j.Version)
	}
	system, err := strconv.ParseUint(j.SystemIdentifier, 10, 64)
	if err != nil {
		return fmt.Errorf("cdc: checkpoint: system_identifier: %w", err)
	}
	*c = Checkpoint{system, j.Timeline, j.Database, j.Slot, j.Position, j.EndLSN}
	return nil
}
