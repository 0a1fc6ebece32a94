package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// receive hands over what the plugin writes until use says that it is enough, and
// tells the server every ten seconds that it is there: when a message comes, which is
// often enough here, or as the library's example does it, with a deadline for every
// message.
func receive(ctx context.Context, slot string, arguments []string, deadlines bool, use func(data []byte) (enough bool, err error)) error {
	conn, err := pgconn.Connect(ctx, replication)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	result, err := conn.Exec(ctx, "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '"+slot+"'").ReadAll()
	if err != nil {
		return err
	}
	start, err := pglogrepl.ParseLSN(string(result[0].Rows[0][0]))
	if err != nil {
		return err
	}
	if err := pglogrepl.StartReplication(ctx, conn, slot, 0, pglogrepl.StartReplicationOptions{PluginArgs: arguments}); err != nil {
		return err
	}
	received, next := start, time.Now().Add(10*time.Second)
	for {
		if time.Now().After(next) {
			if err := pglogrepl.SendStandbyStatusUpdate(ctx, conn, pglogrepl.StandbyStatusUpdate{
				WALWritePosition: received, WALFlushPosition: start, WALApplyPosition: start}); err != nil {
				return err
			}
			next = time.Now().Add(10 * time.Second)
		}
		until, cancel := ctx, func() {}
		if deadlines {
			until, cancel = context.WithDeadline(ctx, next)
		}
		message, err := conn.ReceiveMessage(until)
		cancel()
		if deadlines && pgconn.Timeout(err) {
			continue
		}
		if err != nil {
			return err
		}
		copied, ok := message.(*pgproto3.CopyData)
		if !ok {
			return fmt.Errorf("message of type %T", message)
		}
		switch copied.Data[0] {
		case pglogrepl.PrimaryKeepaliveMessageByteID:
			keepalive, err := pglogrepl.ParsePrimaryKeepaliveMessage(copied.Data[1:])
			if err != nil {
				return err
			}
			if keepalive.ReplyRequested {
				next = time.Time{}
			}
		case pglogrepl.XLogDataByteID:
			data, err := pglogrepl.ParseXLogData(copied.Data[1:])
			if err != nil {
				return err
			}
			received = max(received, data.WALStart)
			if enough, err := use(data.WALData); enough || err != nil {
				return err
			}
		}
	}
}

// pgoutput reads the format of the plugin of that name.
type pgoutput struct {
	binary bool // as the server stores values, instead of text
	values bool // each as what its codec gives, instead of a struct

	deadlines bool
}

// mixed is a row. In the binary format a numeric is no text.
type mixed[Price any] struct {
	ID       int64
	Quantity int32
	Price    Price
	Code     string
	Note     *string
	Paid     *bool
	Made     *time.Time
	Weight   *float64
	Token    *[16]byte
	Extra    *string
}

func (m *mixed[Price]) fields() []any {
	return []any{&m.ID, &m.Quantity, &m.Price, &m.Code, &m.Note, &m.Paid, &m.Made, &m.Weight, &m.Token, &m.Extra}
}

func (p pgoutput) read(ctx context.Context, slot string, events int) (t tally, err error) {
	types, relations := pgtype.NewMap(), map[uint32]*pglogrepl.RelationMessage{}
	decode := scanned[*string]
	if p.binary {
		decode = scanned[pgtype.Numeric]
	}
	if p.values {
		decode = decoded
	}
	row := func(relation uint32, tuple *pglogrepl.TupleData) error {
		t.Events++
		return decode(types, relations[relation], tuple, &t)
	}
	err = receive(ctx, slot, []string{"proto_version '1'", "publication_names 'compare'", fmt.Sprintf("binary '%v'", p.binary)}, p.deadlines, func(data []byte) (bool, error) {
		message, err := pglogrepl.Parse(data)
		if err != nil {
			return false, err
		}
		switch m := message.(type) {
		case *pglogrepl.RelationMessage:
			relations[m.RelationID] = m
			plans = nil
		case *pglogrepl.InsertMessage:
			err = row(m.RelationID, m.Tuple)
		case *pglogrepl.UpdateMessage:
			err = row(m.RelationID, m.NewTuple)
		case *pglogrepl.CommitMessage:
			return t.Events >= events, nil
		}
		return false, err
	})
	return t, err
}

func format(c *pglogrepl.TupleDataColumn) int16 {
	if c.DataType == pglogrepl.TupleDataTypeBinary {
		return pgtype.BinaryFormatCode
	}
	return pgtype.TextFormatCode
}

// decoded is what the library's example does with a row.
func decoded(types *pgtype.Map, relation *pglogrepl.RelationMessage, tuple *pglogrepl.TupleData, t *tally) error {
	for i, c := range tuple.Columns {
		if c.DataType == pglogrepl.TupleDataTypeNull {
			continue
		}
		oid := relation.Columns[i].DataType
		dt, ok := types.TypeForOID(oid)
		if !ok {
			return fmt.Errorf("type %d", oid)
		}
		v, err := dt.Codec.DecodeValue(types, oid, format(c), c.Data)
		if err != nil {
			return err
		}
		if i == 1 {
			t.Quantity += int64(v.(int32))
		}
		t.Values++
	}
	return nil
}

// plans for scanning the columns of the one table, made once.
var plans []pgtype.ScanPlan

// scanned makes a struct of a row.
func scanned[Price any](types *pgtype.Map, relation *pglogrepl.RelationMessage, tuple *pglogrepl.TupleData, t *tally) error {
	row := new(mixed[Price])
	fields := row.fields()
	if plans == nil {
		for i, c := range tuple.Columns {
			code := format(c)
			if c.DataType == pglogrepl.TupleDataTypeNull { // as the others
				code = format(tuple.Columns[0])
			}
			plans = append(plans, types.PlanScan(relation.Columns[i].DataType, code, fields[i]))
		}
	}
	for i, c := range tuple.Columns {
		if err := plans[i].Scan(c.Data, fields[i]); err != nil {
			return err
		}
		if c.DataType != pglogrepl.TupleDataTypeNull {
			t.Values++
		}
	}
	t.Quantity += int64(row.Quantity)
	return nil
}

// wal2json reads version 2 of that plugin's format: an object for each row.
func wal2json(ctx context.Context, slot string, events int) (t tally, err error) {
	err = receive(ctx, slot, []string{`"format-version" '2'`, `"add-tables" 'public.mixed'`}, false, func(data []byte) (bool, error) {
		var change struct {
			Action  string
			Schema  string
			Table   string
			Columns []struct {
				Name, Type string
				Value      any
			}
		}
		if err := json.Unmarshal(data, &change); err != nil {
			return false, err
		}
		switch change.Action {
		case "C":
			return t.Events >= events, nil
		case "I", "U":
			t.Events++
			for i := range change.Columns {
				c := &change.Columns[i]
				if c.Value == nil {
					continue
				}
				if i == 1 {
					t.Quantity += int64(c.Value.(float64))
				}
				t.Values++
			}
		}
		return false, nil
	})
	return t, err
}
