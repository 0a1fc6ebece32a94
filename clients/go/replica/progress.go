package replica

import (
	"slices"
	"strconv"

	"github.com/pgcdc/cdc/clients/go/internal/files"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// LoadProgress says how far an initial load has come. It is stored after every
// step, and is needed as long as rows of the load are in the state.
type LoadProgress struct {
	Slot string `json:"slot"`
	// Snapshots that rows were read under.
	Snapshots []wal.Snapshot `json:"snapshots"`
	// EndLSN: no snapshot saw a transaction that committed after it.
	EndLSN wal.LSN `json:"end_lsn"`
	// Tables in the order in which they are loaded.
	Tables []TableProgress `json:"tables"`
}

// TableProgress is that of one table.
type TableProgress struct {
	// Name as it was given to Loader, or as the stream has it.
	Name string `json:"name"`
	// OID of the table, by which it is read whatever name it has; 0 until it is looked for.
	OID uint32 `json:"oid,omitempty"`
	// Relation is the name under which the stream has it.
	Relation string `json:"relation"`
	// Followed: it is loaded since the stream says so.
	Followed bool `json:"followed,omitempty"`
	// Catalogs tells one state of its columns and names from another.
	Catalogs string `json:"catalogs,omitempty"`
	// KeyColumns in the order of the key; empty if the table has none.
	KeyColumns []string `json:"key_columns"`
	// Whole is the place of the one snapshot that the table was read under, -1 if
	// every chunk has its own.
	Whole  int     `json:"whole"`
	Chunks []Chunk `json:"chunks"`
	// Places of the snapshots that rows of the table in the state were read under.
	Places []int `json:"places,omitempty"`
	// Restarts is how often the table's load began anew since the table was altered. From
	// then on it is read in one transaction, which keeps it from being altered.
	Restarts int `json:"restarts,omitempty"`
}

// Chunk is a range that cdc.snapshot_chunks() gave.
type Chunk struct {
	FromKey *string `json:"from_key"` // of type text[], opaque
	ToKey   *string `json:"to_key"`
	Done    bool    `json:"done"`
}

// whole gives the place of the snapshot that a relation was read under as a whole.
func (p *LoadProgress) whole(relation string) (int, bool) {
	for i := range p.Tables {
		if p.Tables[i].Relation == relation && p.Tables[i].Whole >= 0 {
			return p.Tables[i].Whole, true
		}
	}
	return 0, false
}

// relation gives the entry of one, nil if there is none.
func (p *LoadProgress) relation(name string) *TableProgress {
	for i := range p.Tables {
		if p.Tables[i].Relation == name {
			return &p.Tables[i]
		}
	}
	return nil
}

// add gives the entry of a relation that is to be loaded, anew if it was.
func (p *LoadProgress) add(relation string) {
	t := p.relation(relation)
	if t == nil {
		p.Tables = append(p.Tables, TableProgress{Name: relation})
		t = &p.Tables[len(p.Tables)-1]
	}
	*t = TableProgress{Name: t.Name, OID: t.OID, Relation: relation, Followed: true, Whole: -1}
}

// remove drops the entry of a relation, if there is one.
func (p *LoadProgress) remove(relation string) (found bool) {
	before := len(p.Tables)
	p.Tables = slices.DeleteFunc(p.Tables, func(t TableProgress) bool { return t.Relation == relation })
	return len(p.Tables) < before
}

// pending are the relations that are not read yet.
func (p *LoadProgress) pending() (relations []string) {
	for i := range p.Tables {
		if t := &p.Tables[i]; !t.done() {
			relations = append(relations, t.Relation)
		}
	}
	return relations
}

// oid is the table's as text.
func (t *TableProgress) oid() string { return strconv.FormatUint(uint64(t.OID), 10) }

// clear notes that nothing of a table has been read.
func (t *TableProgress) clear() {
	t.Chunks, t.KeyColumns, t.Whole, t.Places, t.Catalogs = nil, nil, -1, nil, ""
}

// seenByAll tells whether all snapshots that a table was read under saw a transaction.
func (p *LoadProgress) seenByAll(t *TableProgress, xid uint32) bool {
	for _, place := range t.Places {
		if place >= len(p.Snapshots) || !p.Snapshots[place].Sees(xid) {
			return false
		}
	}
	return len(t.Places) > 0
}

// anyDone tells whether a chunk is.
func (t *TableProgress) anyDone() bool {
	return slices.ContainsFunc(t.Chunks, func(c Chunk) bool { return c.Done })
}

// done tells whether all chunks are.
func (t *TableProgress) done() bool {
	return len(t.Chunks) > 0 && !slices.ContainsFunc(t.Chunks, func(c Chunk) bool { return !c.Done })
}

// Done tells whether all is loaded.
func (p *LoadProgress) Done() bool {
	for i := range p.Tables {
		if !p.Tables[i].done() {
			return false
		}
	}
	return true
}

// ProgressStore keeps the progress of a load.
type ProgressStore interface {
	// Load gives the progress, nil if there is none.
	Load() (*LoadProgress, error)
	// Save stores it durably.
	Save(p *LoadProgress) error
}

// ProgressFile keeps the progress of a load in the file with this name.
type ProgressFile string

// Load implements ProgressStore.
func (f ProgressFile) Load() (*LoadProgress, error) {
	p := new(LoadProgress)
	if found, err := files.LoadJSON(string(f), p); err != nil || !found {
		return nil, err
	}
	return p, nil
}

// Save implements ProgressStore.
func (f ProgressFile) Save(p *LoadProgress) error {
	return files.SaveJSON(string(f), p)
}
