package cdc

import (
	"context"
	"strconv"
)

// SlotStatus is how a slot stands on the server.
type SlotStatus struct {
	// ConfirmedFlush is up to where the server takes everything for dealt with.
	ConfirmedFlush LSN
	// RetainedBytes of WAL are kept because of the slot.
	RetainedBytes int64
	// WALStatus is reserved, extended, unreserved or lost.
	WALStatus string
}

// SlotStatus asks the server, on a connection of its own, and sets the gauge
// RetainedWALBytes. It is meant to be called about once a minute.
func (s *Stream) SlotStatus(ctx context.Context) (*SlotStatus, error) {
	conn, err := s.config.dialer.connect(ctx, s.config.Conn, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	row, err := queryRow(ctx, conn, "SELECT confirmed_flush_lsn, "+
		"(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - restart_lsn)::int8, wal_status "+
		"FROM pg_catalog.pg_replication_slots WHERE slot_name = "+quoteLiteral(s.config.Slot))
	if err != nil {
		return nil, err
	}
	if len(row) != 3 {
		return nil, refused("there is no slot %q", s.config.Slot)
	}
	status := &SlotStatus{WALStatus: row[2]}
	if status.ConfirmedFlush, err = ParseLSN(row[0]); err != nil {
		return nil, err
	}
	if status.RetainedBytes, err = strconv.ParseInt(row[1], 10, 64); err != nil {
		return nil, err
	}
	s.config.Metrics.Set(RetainedWALBytes, float64(status.RetainedBytes))
	return status, nil
}
