// Package load reads tables as they are and puts their rows into the log, between the stream's transactions: at the first
// start, and again when that is asked for. How far it has come, is kept on the bus.
package load

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// Progress is what is kept on the bus.
type Progress struct {
	Version int `json:"version"`
	// Initial: all tables were put on the list.
	Initial bool `json:"initial,omitempty"`
	// Loads is the number that was given last.
	Loads uint64 `json:"loads"`
	// Tables in the order in which they are loaded, until the log has passed them.
	Tables []*Table `json:"tables,omitempty"`
}

// Table that is to be loaded, or was just now.
type Table struct {
	// Load is the number of the load.
	Load     uint64 `json:"load"`
	OID      uint32 `json:"oid"`
	Relation string `json:"relation"`
	// Estimated rows, and bytes of each.
	Estimated uint64 `json:"estimated,omitempty"`
	RowBytes  uint64 `json:"row_bytes,omitempty"`
	// After: not before the stream has come there.
	After cdc.LSN `json:"after,omitempty"`
	// Shape and Topic that it had when it was begun.
	Shape string   `json:"shape,omitempty"`
	Topic string   `json:"topic,omitempty"`
	Key   []string `json:"key_columns,omitempty"`
	// At is where to go on; Earlier are places before it.
	At      Place   `json:"at"`
	Earlier []Place `json:"earlier,omitempty"`
	// Read: all rows are in the log. It ends when the stream has passed EndLSN.
	Read   bool       `json:"read,omitempty"`
	EndLSN cdc.LSN    `json:"end_lsn,omitempty"`
	Ended  *time.Time `json:"ended,omitempty"`
}

// Place within a table.
type Place struct {
	// From is the key where the next range begins; nil: the table does.
	From *string `json:"from,omitempty"`
	Rows uint64  `json:"rows"`
	// Sequence of the bus when the rows before it were stored.
	Sequence uint64 `json:"sequence,omitempty"`
}

// ParseProgress reads what Encode gives; nil is none.
func ParseProgress(data []byte) (*Progress, error) {
	p := &Progress{Version: 1}
	if data == nil {
		return p, nil
	}
	data, err := inflated(data)
	if err == nil {
		err = json.Unmarshal(data, p)
	}
	if err != nil {
		return nil, fmt.Errorf("the progress of loads on the bus cannot be read: %w", err)
	}
	if p.Version != 1 {
		return nil, fmt.Errorf("the progress of loads on the bus has version %d, not 1: a newer relay has written it", p.Version)
	}
	return p, nil
}

// large is from where on the progress is compressed: there may be thousands of tables, and a message has its limit.
const large = 16 << 10

// Encode gives the bytes.
func (p *Progress) Encode() ([]byte, error) {
	data, err := json.Marshal(p)
	if err != nil || len(data) < large {
		return data, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err = w.Write(data)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

func inflated(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1F, 0x8B}) {
		return data, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// table that has a name, and is not loaded as a whole.
func (p *Progress) table(relation string) *Table {
	for _, t := range p.Tables {
		if t.Relation == relation && t.Ended == nil {
			return t
		}
	}
	return nil
}

// add puts a table on the list, or has it begin anew.
func (p *Progress) add(found *cdc.FoundTable, after cdc.LSN) *Table {
	t := p.table(found.Relation)
	if t == nil {
		t = &Table{}
		p.Tables = append(p.Tables, t)
	}
	if t.Load == 0 || t.Topic != "" || t.Read {
		p.Loads++
		t.Load = p.Loads
	}
	*t = Table{Load: t.Load, OID: found.OID, Relation: found.Relation, Estimated: found.Rows, RowBytes: found.RowBytes, After: after}
	return t
}

// again has a table be read from its beginning, after a place of the stream.
func (t *Table) again(after cdc.LSN) {
	*t = Table{Load: t.Load, OID: t.OID, Relation: t.Relation, Estimated: t.Estimated, RowBytes: t.RowBytes, After: max(after, t.After)}
}

// remove takes a table from the list.
func (p *Progress) remove(t *Table) {
	p.Tables = slices.DeleteFunc(p.Tables, func(other *Table) bool { return other == t })
}

// maxEarlier places are kept of a table.
const maxEarlier = 16

// moved notes that all before a place is in the log.
func (t *Table) moved(to Place) {
	if to.Sequence > 0 {
		t.Earlier = append(t.Earlier, t.At)
		if len(t.Earlier) > maxEarlier { // every second one, and so the older the fewer
			kept := t.Earlier[:0]
			for i, place := range t.Earlier {
				if i%2 == 0 {
					kept = append(kept, place)
				}
			}
			t.Earlier = kept
		}
	}
	t.At = to
}

// remember is how long tables stay on the list that are loaded: a bus that loses what it has acknowledged may lose them, too.
const remember = 10 * time.Minute

// end notes that the stream has passed what was read.
func (t *Table) end(now time.Time) {
	now = now.UTC()
	t.Ended, t.Earlier, t.Key, t.Shape = &now, nil, nil, ""
}

// forget takes tables from the list that are loaded.
func (p *Progress) forget(now time.Time) {
	p.Tables = slices.DeleteFunc(p.Tables, func(t *Table) bool {
		return t.Ended != nil && now.Sub(*t.Ended) > remember
	})
}

// lost goes back to what a bus has that ends with a message.
func (p *Progress) lost(sequence uint64) (changed bool) {
	for _, t := range p.Tables {
		if t.At.Sequence <= sequence {
			continue
		}
		changed = true
		t.Read, t.Ended = false, nil
		for len(t.Earlier) > 0 && t.At.Sequence > sequence {
			t.At, t.Earlier = t.Earlier[len(t.Earlier)-1], t.Earlier[:len(t.Earlier)-1]
		}
		if t.At.Sequence > sequence {
			t.At = Place{}
		}
		if t.At.From == nil { // the begin may be lost, too
			t.again(0)
		}
	}
	return changed
}
