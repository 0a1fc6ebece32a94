package change

import (
	"google.golang.org/protobuf/proto"

	"github.com/pgcdc/cdc/clients/go/cdcv1"
	"github.com/pgcdc/cdc/clients/go/fault"
	"github.com/pgcdc/cdc/clients/go/schema"
)

// SchemaChange is what a DDL command has made of a relation. Where its rows come on, the
// event's Fingerprint and Table are what they have from here on.
type SchemaChange struct {
	Kind SchemaChangeKind
	// CommandTag of the command, as event triggers have it: "ALTER TABLE".
	CommandTag string
	// FormerSchema and FormerName are what the relation had before, where one of them is
	// another now, and with SchemaDropped and SchemaLeft. Otherwise empty.
	FormerSchema, FormerName string
}

// Former is the relation's former name, as Table.String gives names; empty if it is the
// one that it has now.
func (s *SchemaChange) Former() string {
	if s.FormerName == "" {
		return ""
	}
	return schema.QualifiedName(s.FormerSchema, s.FormerName)
}

// Ends tells whether no more rows of the relation come: such an event has no Table.
func (s *SchemaChange) Ends() bool { return s.Kind == SchemaDropped || s.Kind == SchemaLeft }

// SchemaChange of the event, nil if it is none.
func (e *Event) SchemaChange() (*SchemaChange, error) {
	if e.change == nil {
		return nil, nil
	}
	var m cdcv1.SchemaChange
	if err := proto.Unmarshal(e.change, &m); err != nil {
		return nil, fault.DamagedBy("schema change", err)
	}
	return &SchemaChange{Kind: m.Kind, CommandTag: m.CommandTag, FormerSchema: m.FormerSchema, FormerName: m.FormerName}, nil
}

// checkSchemaChange sees to it that an event says what a command has made of what.
func (e *Event) checkSchemaChange() error {
	s, err := e.SchemaChange()
	switch {
	case err != nil:
		return err
	case s == nil:
		return fault.Damaged("change of a schema does not say which")
	case s.Kind < SchemaCreated || s.Kind > SchemaLeft:
		return fault.Damaged("unknown change of a schema")
	case s.Ends() && (s.FormerName == "" || e.Fingerprint != 0):
		return fault.Damaged("relation of which no more rows come has no former name, or a schema")
	case !s.Ends() && e.Fingerprint == 0:
		return fault.Damaged("change of a schema without the schema")
	}
	return nil
}
