package cdc

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const checkpointText = `{"version":1,"system_identifier":"7711112610140933698","timeline":2,"database":"d","slot":"s","position":"0/19552C8/0/19551E8/3","end_lsn":"0/19552F8"}`

// The form that the clients of all languages share.
func TestCheckpointForm(t *testing.T) {
	c := Checkpoint{SystemIdentifier: 7711112610140933698, Timeline: 2, Database: "d", Slot: "s",
		Position: Position{CommitLSN: 0x19552C8, LSN: 0x19551E8, Index: 3}, EndLSN: 0x19552F8}
	text, err := json.Marshal(&c)
	if err != nil || string(text) != checkpointText {
		t.Fatal(string(text), err)
	}
	var again Checkpoint
	if err := json.Unmarshal(text, &again); err != nil || again != c {
		t.Fatal(again, err)
	}
	for _, replace := range [][2]string{
		{`"version":1`, `"version":2`}, {`"7711112610140933698"`, `"x"`}, {`0/19552F8`, `x`}, {`/3"`, `"`}, {`}`, ``},
	} {
		if err := json.Unmarshal([]byte(strings.Replace(checkpointText, replace[0], replace[1], 1)), &again); err == nil {
			t.Error("taken with", replace[1])
		}
	}
}

func TestFileStore(t *testing.T) {
	dir := t.TempDir()
	store := FileStore(filepath.Join(dir, "c"))
	ctx := context.Background()
	if c, err := store.Load(ctx); c != nil || err != nil {
		t.Fatal(c, err)
	}
	for i := range 3 {
		if err := store.Save(ctx, &Checkpoint{Slot: "s", EndLSN: LSN(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := store.Load(ctx); err != nil || c.EndLSN != 2 {
		t.Fatal(c, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Error("files are left behind:", files)
	}
	if err := os.WriteFile(string(store), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := store.Load(ctx); err == nil {
		t.Error("an empty file is a checkpoint:", c)
	}
	if err := FileStore(filepath.Join(dir, "no such", "c")).Save(ctx, &Checkpoint{}); err == nil {
		t.Error("stored where there is no directory")
	}
}
