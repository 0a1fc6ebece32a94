package cdc

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Router hands events on by relation and major version. It is filled before it is used,
// and then safe for concurrent use.
//
//	router.Handle("public.orders", 2, handleOrders)
//	router.Handle("public.orders", 1, cdc.Converted(v1.Decoder, convert.OrdersV1ToV2, handleOrder))
//	...
//	err := router.Route(event)
type Router struct {
	handlers map[string]Handler
	fallback Handler
	schema   Handler
}

// Handler of events.
type Handler func(*Event) error

// Handle sets what to do with events of a relation (as Table.String gives it) in a major
// version; 0: not registered.
func (r *Router) Handle(relation string, major uint32, handler Handler) {
	if r.handlers == nil {
		r.handlers = map[string]Handler{}
	}
	r.handlers[VersionedName(relation, major)] = handler
}

// Otherwise sets what to do with all other events, logical messages among them. Without
// it they are an error of Route.
func (r *Router) Otherwise(handler Handler) { r.fallback = handler }

// HandleSchema sets what to do with changes of schemas (OpSchema), of any relation. Without
// it they are passed over: they have no rows.
func (r *Router) HandleSchema(handler Handler) { r.schema = handler }

// Route gives an event to its handler.
func (r *Router) Route(e *Event) error {
	if e.Op == OpSchema {
		if r.schema == nil {
			return nil
		}
		return r.schema(e)
	}
	table := e.Table()
	var name string
	if table != nil {
		name = VersionedName(table.String(), e.Version().Major)
		if handler := r.handlers[name]; handler != nil {
			return handler(e)
		}
	}
	if r.fallback != nil {
		return r.fallback(e)
	}
	if table == nil {
		return fmt.Errorf("cdc: no handler for events of type %v without a relation", e.Op)
	}
	return fmt.Errorf("cdc: no handler for %s", name)
}

// Converted is a Handler that decodes the row after an event as one type, makes it
// another one, and hands that on: rows of a former version to a handler of the current
// one. cdc.converter() prints a skeleton of convert.
func Converted[From proto.Message, To any](decoder *Decoder[From], convert func(From) To, handler func(*Event, To) error) Handler {
	return func(e *Event) error {
		row, err := decoder.After(e)
		if err != nil {
			return err
		}
		return handler(e, convert(row))
	}
}
