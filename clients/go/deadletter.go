package cdc

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/pgcdc/cdc/clients/go/internal/files"
)

// Policy says what to do about something that cannot be handed on.
type Policy int

// The policies.
const (
	// PolicyStop ends the stream with an error. Nothing is acknowledged: the next start
	// meets the same again.
	PolicyStop Policy = iota
	// PolicySkip goes on without it.
	PolicySkip
	// PolicyDeadLetter gives it to Config.DeadLetters and goes on.
	PolicyDeadLetter
	// PolicyPass hands it on as it is. For Config.OnVersion and OnFailure alone.
	PolicyPass
)

// Reason is why something became a dead letter.
type Reason string

// The reasons.
const (
	ReasonDamage        Reason = "damage"
	ReasonUnknownSchema Reason = "unknown_schema"
	ReasonFailure       Reason = "failure"
	ReasonHandler       Reason = "handler"
	ReasonVersion       Reason = "version"
)

// DeadLetter is something that could not be handed on.
type DeadLetter struct {
	Reason Reason
	// Err says what was wrong.
	Err error
	// Batch is a serialized Batch: what came from the server, or a single event
	// cut out of it, that can be read alone.
	Batch []byte
	// Slot that it came from, and the event's position if there is one.
	Slot     string
	Position Position
}

// DeadLetterSink takes in what could not be handed on. The stream goes on only if
// Put returns without an error.
type DeadLetterSink interface {
	Put(ctx context.Context, l *DeadLetter) error
}

// DeadLetterDir writes a pair of files for each letter into the directory of
// this name, which must exist: NAME.pb, which cdc-tail can read, and NAME.json,
// which says why. They are readable by their owner alone. Several consumers may share a
// directory: NAME has the slot, the position, the reason and a hash of the batch. (A
// damaged batch of just 10 bytes cannot be told from a newline there; no other batch is
// that short.)
type DeadLetterDir string

// Put implements DeadLetterSink. When it returns, both files survive a crash of the
// machine. A letter that is put again replaces itself.
func (d DeadLetterDir) Put(_ context.Context, l *DeadLetter) error {
	why, err := json.Marshal(struct {
		Reason   Reason    `json:"reason"`
		Error    string    `json:"error"`
		Slot     string    `json:"slot"`
		Position Position  `json:"position"`
		Time     time.Time `json:"time"`
	}{l.Reason, l.Err.Error(), l.Slot, l.Position, time.Now().UTC()})
	if err != nil {
		return err
	}
	base := filepath.Join(string(d), l.name())
	if err := files.RenameInto(base+".pb", AppendFrame(nil, l.Batch)); err != nil {
		return err
	}
	if err := files.RenameInto(base+".json", append(why, '\n')); err != nil {
		return err
	}
	return files.SyncDir(string(d))
}

// name is the same in all clients, and that of no other letter.
func (l *DeadLetter) name() string {
	var slot []byte
	for _, b := range []byte(l.Slot) {
		if b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '_' {
			slot = append(slot, b)
		} else {
			slot = fmt.Appendf(slot, "%%%02X", b)
		}
	}
	position := strings.ReplaceAll(l.Position.String(), "/", "-")
	return fmt.Sprintf("%s-%s-%s-%v", slot, position, l.Reason, FingerprintOf(l.Batch))
}
