package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgcdc/cdc/clients/go"
	"github.com/pgcdc/cdc/relay/bus"
)

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// Load implements bus.Bus.
func (b *Bus) Load(ctx context.Context) (bus.State, error) {
	state, _, err := b.load(ctx)
	return state, err
}

// found is what load has met beside the state.
type found struct {
	record   *bus.Record
	revision uint64
	sequence uint64
	last     []bus.Header
}

func (b *Bus) load(ctx context.Context) (state bus.State, f found, err error) {
	// First the checkpoint: what comes into the stream meanwhile is behind it.
	if f.record, f.revision, err = b.record(ctx); err != nil {
		return state, f, err
	}
	info, err := b.stream.Info(ctx)
	if err != nil {
		return state, f, fmt.Errorf("state of the stream: %w", err)
	}
	f.sequence = info.State.LastSeq
	if f.record != nil {
		state.Checkpoint = f.record.Checkpoint
		if f.record.Sequence > f.sequence {
			state.Lost = f.record.Sequence - f.sequence
		}
		if f.record.Sequence == f.sequence && len(f.record.Mark) > 0 {
			// The message itself may be gone: by its age, for example.
			for name, value := range f.record.Mark {
				f.last = append(f.last, bus.Header{Name: name, Value: value})
			}
			state.Mark, err = f.record.ParseMark()
			return state, f, err
		}
	}
	if info.State.Msgs > 0 {
		f.last, state.Mark, err = b.lastMark(ctx, f.sequence)
	}
	return state, f, err
}

// lastMark reads the last message; where somebody has removed that one, the last that is there.
func (b *Bus) lastMark(ctx context.Context, sequence uint64) ([]bus.Header, *bus.Mark, error) {
	raw, err := b.fromLeader(ctx, map[string]any{"seq": sequence})
	if raw == nil && err == nil {
		raw, err = b.fromLeader(ctx, map[string]any{"last_by_subj": b.driver.prefix + ".>"})
	}
	if err != nil || raw == nil {
		return nil, nil, err
	}
	header, err := nats.DecodeHeadersMsg(raw.Header)
	if err != nil && len(raw.Header) > 0 {
		return nil, nil, fmt.Errorf("the last message of the stream: %w", err)
	}
	m := &bus.Message{}
	for name := range header {
		m.Headers = append(m.Headers, bus.Header{Name: name, Value: header[name][0]})
	}
	mark, err := bus.ParseMark(m.Get)
	if err != nil {
		return nil, nil, &bus.ConfigError{Message: fmt.Sprintf("message %d of the stream, on %s: %v. "+
			"The relay must be the only one who writes to its stream: give it one of its own (nats.stream)", raw.Sequence, raw.Subject, err)}
	}
	return m.Headers, &mark, nil
}

// rawMessage is one as the server's API gives it.
type rawMessage struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"seq"`
	Header   []byte `json:"hdrs"`
}

// fromLeader reads a message, nil if it is not there, from the leader of the stream: any replica may
// answer what the library asks, one that is behind as well.
func (b *Bus) fromLeader(ctx context.Context, question map[string]any) (*rawMessage, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := b.conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+b.driver.config.Stream, body)
	if err != nil {
		return nil, fmt.Errorf("the last message of the stream: %w", err)
	}
	var content struct {
		Message *rawMessage         `json:"message"`
		Error   *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &content); err != nil {
		return nil, fmt.Errorf("the last message of the stream: %w", err)
	}
	if e := content.Error; e != nil && e.ErrorCode != jetstream.JSErrCodeMessageNotFound {
		return nil, fmt.Errorf("the last message of the stream: %w", e)
	}
	return content.Message, nil
}

// record reads the checkpoint of the bucket.
func (b *Bus) record(ctx context.Context) (*bus.Record, uint64, error) {
	entry, err := b.bucket.Get(ctx, b.driver.slot)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("the checkpoint in the bucket: %w", err)
	}
	record, err := bus.ParseRecord(entry.Value())
	return record, entry.Revision(), err
}

// Claim implements bus.Bus. Others cannot write the checkpoint from here on, and no message
// once one of ours is there; where theirs came first, ours is refused, and all begins anew.
func (b *Bus) Claim(ctx context.Context) (bus.State, error) {
	state, f, err := b.load(ctx)
	if err != nil || state.Lost > 0 && state.Mark == nil {
		return state, err
	}
	b.mu.Lock()
	b.revision = f.revision
	b.mu.Unlock()
	if f.record != nil {
		record := &bus.Record{Checkpoint: f.record.Checkpoint, Mark: bus.MarkOf(f.last), Sequence: f.sequence}
		if state.Lost > 0 { // other messages will get these numbers
			record.Checkpoint = state.Mark.Checkpoint()
		}
		if err := b.write(ctx, record); err != nil {
			return bus.State{}, err
		}
	}
	state, f, err = b.load(ctx)
	if err != nil {
		return state, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected, b.sequence, b.last = f.sequence, f.sequence, f.last
	return state, nil
}

// Save implements bus.Bus.
func (b *Bus) Save(ctx context.Context, c *cdc.Checkpoint) error {
	b.mu.Lock()
	record := &bus.Record{Checkpoint: c, Mark: bus.MarkOf(b.last), Sequence: b.sequence}
	b.mu.Unlock()
	return b.write(ctx, record)
}

// write stores a record if nobody else has since the last time. It is never called twice
// at once.
func (b *Bus) write(ctx context.Context, r *bus.Record) error {
	data, err := r.Encode()
	if err != nil {
		return err
	}
	b.mu.Lock()
	revision := b.revision
	b.mu.Unlock()
	next, err := b.bucket.Update(ctx, b.driver.slot, data, revision)
	if errors.Is(err, jetstream.ErrKeyExists) {
		err = &bus.FencedError{Err: err}
		b.fail(err)
		return err
	}
	if err != nil {
		return fmt.Errorf("storing the checkpoint in the bucket: %w", err)
	}
	b.mu.Lock()
	b.revision = next
	b.mu.Unlock()
	return nil
}
