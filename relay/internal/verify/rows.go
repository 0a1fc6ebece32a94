package verify

import (
	"bytes"
	"context"
	"fmt"

	"github.com/bufbuild/protocompile"
	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Rows makes rows of values, with nothing but what a registry has.
type Rows struct {
	registry *sr.Client
	types    map[int]protoreflect.MessageDescriptor
}

// NewRows reads with the registry at a URL.
func NewRows(url string) (*Rows, error) {
	client, err := sr.NewClient(sr.URLs(url))
	return &Rows{client, map[int]protoreflect.MessageDescriptor{}}, err
}

// typeOf compiles what the registry has for an id, with what it refers to.
func (r *Rows) typeOf(ctx context.Context, id int) (protoreflect.MessageDescriptor, error) {
	if known := r.types[id]; known != nil {
		return known, nil
	}
	s, err := r.registry.SchemaByID(ctx, id)
	if err != nil {
		return nil, err
	}
	files := map[string]string{"row.proto": s.Schema}
	for _, ref := range s.References {
		is, err := r.registry.SchemaByVersion(ctx, ref.Subject, ref.Version)
		if err != nil {
			return nil, err
		}
		files[ref.Name] = is.Schema.Schema
	}
	c := protocompile.Compiler{Resolver: &protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(files)}}
	compiled, err := c.Compile(ctx, "row.proto")
	if err != nil {
		return nil, err
	}
	r.types[id] = compiled[0].Messages().Get(0)
	return r.types[id], nil
}

// Read gives the row of a value. What the type does not have is an error.
func (r *Rows) Read(ctx context.Context, value []byte) (protoreflect.Message, error) {
	var header sr.ConfluentHeader
	id, rest, err := header.DecodeID(value)
	if err != nil {
		return nil, err
	}
	index, rest, err := header.DecodeIndex(rest, 1)
	if err != nil || index[0] != 0 {
		return nil, fmt.Errorf("message %v: %w", index, err)
	}
	kind, err := r.typeOf(ctx, id)
	if err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(kind)
	if err := proto.Unmarshal(rest, m); err != nil {
		return nil, err
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil || len(m.GetUnknown()) > 0 || !bytes.Equal(again, rest) {
		return nil, fmt.Errorf("the type %s does not have all of %x: %x, %w", kind.FullName(), rest, again, err)
	}
	return m, nil
}
