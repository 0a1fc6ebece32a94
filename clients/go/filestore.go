package cdc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pgcdc/cdc/clients/go/internal/files"
)

// FileStore keeps a checkpoint in the file with this name, as one JSON object.
// The file is replaced as a whole, and its directory must be on a file system
// that honours fsync. It is readable by its owner alone.
type FileStore string

// Load implements CheckpointStore.
func (f FileStore) Load(context.Context) (*Checkpoint, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := new(Checkpoint)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("%s: %w", string(f), err)
	}
	return c, nil
}

// Save implements CheckpointStore.
func (f FileStore) Save(_ context.Context, c *Checkpoint) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return files.Replace(string(f), append(data, '\n'))
}
