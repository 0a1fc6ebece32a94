// Package files replaces files so that a crash leaves the old or the new content.
package files

import (
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

func SyncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
