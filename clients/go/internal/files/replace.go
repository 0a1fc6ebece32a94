// Package files replaces files so that a crash leaves the old or the new content.
package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes a file that after a crash has its old or its new content.
func Replace(name string, data []byte) error {
	if err := RenameInto(name, data); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// RenameInto is replaceFile, but for syncing the directory. Nobody else uses the file
// that it writes first.
func RenameInto(name string, data []byte) (err error) {
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

// SyncDir makes what was renamed in a directory durable.
func SyncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// LoadJSON reads an object from a file; found is false if there is none.
func LoadJSON(name string, v any) (found bool, err error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	return true, nil
}

// SaveJSON replaces a file by an object.
func SaveJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return Replace(name, append(data, '\n'))
}
