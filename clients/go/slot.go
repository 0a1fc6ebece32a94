package cdc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgcdc/cdc/clients/go/internal/libpq"
)

// SlotOptions of CreateSlot.
type SlotOptions struct {
	// TwoPhase: the slot decodes prepared transactions when they are prepared.
	TwoPhase bool
	// Temporary: the slot goes with the SlotSnapshot's connection.
	Temporary bool
	// ExportSnapshot makes a snapshot that SET TRANSACTION SNAPSHOT takes, as long
	// as the SlotSnapshot is open.
	ExportSnapshot bool
}

// SlotSnapshot is a slot that was just made.
type SlotSnapshot struct {
	// ConsistentPoint: transactions that commit after it are in the stream.
	ConsistentPoint LSN
	// Snapshot sees what is before ConsistentPoint; empty unless exported.
	Snapshot string

	conn *pgconn.PgConn
}

// Close ends the connection, and the exported snapshot with it.
func (s *SlotSnapshot) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
}

// CreateSlot makes a logical replication slot for the plugin cdc. It waits until
// the transactions that are open now have ended. cdc.create_slot() does the same
// in SQL, and can store options beside the slot.
func CreateSlot(ctx context.Context, conninfo, slot string, o SlotOptions) (*SlotSnapshot, error) {
	conn, _, err := new(libpq.Dialer).Replication(ctx, conninfo)
	if err != nil {
		return nil, err
	}
	command := "CREATE_REPLICATION_SLOT " + libpq.QuoteName(slot)
	if o.Temporary {
		command += " TEMPORARY"
	}
	snapshot := "nothing"
	if o.ExportSnapshot {
		snapshot = "export"
	}
	command += fmt.Sprintf(" LOGICAL cdc (SNAPSHOT '%s', TWO_PHASE %v)", snapshot, o.TwoPhase)
	row, err := libpq.QueryRow(ctx, conn, command)
	s := &SlotSnapshot{conn: conn}
	if err == nil && len(row) < 3 {
		err = errors.New("cdc: CREATE_REPLICATION_SLOT gave no row")
	}
	if err == nil {
		s.Snapshot = row[2]
		s.ConsistentPoint, err = ParseLSN(row[1])
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// DropSlot drops a slot that nobody reads. There need not be one.
func DropSlot(ctx context.Context, conninfo, slot string) error {
	conn, _, err := new(libpq.Dialer).Replication(ctx, conninfo)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "DROP_REPLICATION_SLOT "+libpq.QuoteName(slot)).ReadAll()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42704" {
		return nil
	}
	return libpq.Explained(err)
}
