package load

import (
	"slices"
	"time"

	"github.com/pgcdc/cdc/clients/go"
)

// visibility knows which transactions of the log others may not see yet.
type visibility struct {
	recent []uint32 // that were sent, and that no snapshot is known to have seen

	// What the session before has sent, is not known: but it is among those that were in progress when this one
	// began to look.
	former []uint64
	until  time.Time
}

// maxRecent is how many are remembered. More cannot be invisible at a time than there are connections.
const maxRecent = 10000

// formerTime is for how long transactions are waited for that were in progress at the start. Those that
// take longer are at work, and not waiting for a standby with their commit in the log.
const formerTime = 10 * time.Second

// sent notes a transaction that is in the log now.
func (v *visibility) sent(xid uint32) {
	if xid == 0 {
		return
	}
	if len(v.recent) >= maxRecent {
		v.recent = slices.Delete(v.recent, 0, maxRecent/2)
	}
	v.recent = append(v.recent, xid)
}

// by tells whether a snapshot sees all that is in the log.
func (v *visibility) by(s *cdc.Snapshot) bool {
	if v.until.IsZero() {
		v.until = time.Now().Add(formerTime)
		v.former = slices.Clone(s.XIP)
	}
	if len(v.former) > 0 && time.Now().Before(v.until) {
		v.former = slices.DeleteFunc(v.former, func(x uint64) bool { return !slices.Contains(s.XIP, x) })
		if len(v.former) > 0 {
			return false
		}
	}
	v.recent = slices.DeleteFunc(v.recent, s.Sees)
	return len(v.recent) == 0
}
