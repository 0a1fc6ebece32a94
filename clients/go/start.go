package cdc

import (
	"context"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/wal"
)

// checkSlot tells whether the slot is one of ours.
func checkSlot(s *Server, slot string) error {
	if s.Plugin == "" {
		return fault.Refused("there is no slot %q", slot)
	}
	if s.Plugin != "cdc" {
		return fault.Refused("slot %q has the plugin %q, not cdc", slot, s.Plugin)
	}
	if s.SlotDatabase != s.Database {
		return fault.Refused("slot %q is of the database %q, and the connection to %q: connect to the slot's", slot, s.SlotDatabase, s.Database)
	}
	return nil
}

// checkStart tells whether the server can go on where the checkpoint says.
func checkStart(ctx context.Context, session Session, c *Checkpoint) error {
	s := session.Server()
	switch {
	case c.SystemIdentifier != s.SystemIdentifier:
		return fault.Refused("the checkpoint is of system %d, the server is %d; after pg_upgrade, set AcceptSystem",
			c.SystemIdentifier, s.SystemIdentifier)
	case c.Database != s.Database:
		return fault.Refused("the checkpoint is of the database %q, the connection to %q; if that is the same one, renamed, set the checkpoint's database to %[2]q", c.Database, s.Database)
	case c.Timeline > s.Timeline:
		return fault.Refused("the checkpoint is of timeline %d, the server is on %d", c.Timeline, s.Timeline)
	case c.EndLSN > s.WALEnd:
		return fault.Refused("the checkpoint %v is beyond the server's position %v: the server has lost what it had sent, or is another one", c.EndLSN, s.WALEnd)
	case s.ConfirmedFlush > c.EndLSN:
		return fault.Refused("the slot is at %v, beyond the checkpoint %v: the changes between are lost to this consumer", s.ConfirmedFlush, c.EndLSN)
	case c.Timeline == s.Timeline:
		return nil
	}
	history, err := session.TimelineHistory(ctx)
	if err != nil {
		return err
	}
	at, found, err := wal.BranchPoint(history, c.Timeline)
	if err != nil {
		return err
	}
	if !found {
		return fault.Refused("timeline %d of the checkpoint is not in the history of the server's timeline %d", c.Timeline, s.Timeline)
	}
	if c.EndLSN > at {
		return fault.Refused("the checkpoint %v is beyond %v, where timeline %d ended for this server", c.EndLSN, at, c.Timeline)
	}
	return nil
}
