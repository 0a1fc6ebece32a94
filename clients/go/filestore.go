package cdc

import (
	"context"

	"github.com/pgcdc/cdc/clients/go/internal/files"
)

// FileStore keeps a checkpoint in the file with this name, as one JSON object.
// The file is replaced as a whole, and its directory must be on a file system
// that honours fsync. It is readable by its owner alone.
type FileStore string

// Load implements CheckpointStore.
func (f FileStore) Load(context.Context) (*Checkpoint, error) {
	c := new(Checkpoint)
	if found, err := files.LoadJSON(string(f), c); err != nil || !found {
		return nil, err
	}
	return c, nil
}

// Save implements CheckpointStore.
func (f FileStore) Save(_ context.Context, c *Checkpoint) error {
	return files.SaveJSON(string(f), c)
}
