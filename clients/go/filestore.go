package cdc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	return replaceFile(string(f), append(data, '\n'))
}

// replaceFile writes a file that after a crash has its old or its new content.
func replaceFile(name string, data []byte) error {
	if err := renameInto(name, data); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// renameInto is replaceFile, but for syncing the directory. Nobody else uses the file
// that it writes first.
func renameInto(name string, data []byte) (err error) {
	dir := filepath.Dir(name)
	file, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	return err
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
