package cdc

import (
	"context"
	"strconv"

	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/internal/libpq"
)

// SlotStatus is how a slot stands on the server.
type SlotStatus struct {
	// ConfirmedFlush is up to where the server takes everything for dealt with.
	ConfirmedFlush LSN
	// RetainedBytes of WAL are kept because of the slot.
	RetainedBytes int64
	// SafeWALSize is how many bytes of WAL may be written before the slot is in danger of
	// being lost; -1 where max_slot_wal_keep_size sets no limit.
	SafeWALSize int64
	// WALStatus is reserved, extended, unreserved or lost.
	WALStatus string
	// Invalidation is why the slot is lost, as the server says it (17 and newer).
	Invalidation string
	// Active tells whether somebody reads it, and ActivePID who.
	Active    bool
	ActivePID int
}

// SlotStatus asks the server, on a connection of its own, and sets the gauge
// RetainedWALBytes. It is meant to be called about once a minute.
func (s *Stream) SlotStatus(ctx context.Context) (*SlotStatus, error) {
	conn, err := s.config.dialer.Connect(ctx, s.config.Conn, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	row, err := libpq.QueryRow(ctx, conn, "SELECT coalesce(confirmed_flush_lsn, '0/0'), "+
		"coalesce((CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - restart_lsn)::int8, 0), wal_status, "+
		"coalesce(safe_wal_size, -1), coalesce(pg_catalog.to_jsonb(s)->>'invalidation_reason', ''), active, coalesce(active_pid, 0), "+
		"coalesce(restart_lsn, '0/0') FROM pg_catalog.pg_replication_slots s WHERE slot_name = "+libpq.QuoteLiteral(s.config.Slot))
	if err != nil {
		return nil, err
	}
	if len(row) != 8 {
		return nil, fault.Refused("there is no slot %q", s.config.Slot)
	}
	status := &SlotStatus{WALStatus: row[2], Invalidation: row[4], Active: row[5] == "t"}
	if status.ConfirmedFlush, err = ParseLSN(row[0]); err != nil {
		return nil, err
	}
	if status.RetainedBytes, err = strconv.ParseInt(row[1], 10, 64); err != nil {
		return nil, err
	}
	if status.SafeWALSize, err = strconv.ParseInt(row[3], 10, 64); err != nil {
		return nil, err
	}
	if status.ActivePID, err = strconv.Atoi(row[6]); err != nil {
		return nil, err
	}
	restart, err := ParseLSN(row[7])
	if err != nil {
		return nil, err
	}
	s.checkpointer.retains(restart)
	s.config.Metrics.Set(RetainedWALBytes, float64(status.RetainedBytes))
	return status, nil
}
