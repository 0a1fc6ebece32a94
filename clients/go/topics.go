package cdc

import "github.com/pgcdc/cdc/clients/go/topic"

// Messages of topics, as cdc-relay writes them: package topic.
type (
	// TopicRecord is a message as a bus has it.
	TopicRecord = topic.Record
	// TopicHeader of a record.
	TopicHeader = topic.Header
	// TopicReader makes messages of records.
	TopicReader = topic.Reader
	// TopicMessage is what a TopicReader makes of a record.
	TopicMessage = topic.Message
	// TopicProgress tells messages that are new from those that have been dealt with.
	TopicProgress = topic.Progress
)

// Kinds of messages.
const (
	TopicChange     = topic.Change
	TopicTombstone  = topic.Tombstone
	TopicDeadLetter = topic.DeadLetter
	TopicMarker     = topic.Marker
	TopicJSON       = topic.JSON
)

// Roles of a message among those that an event has.
const (
	TopicRoleNone      = topic.RoleNone
	TopicRoleOld       = topic.RoleOld
	TopicRoleNew       = topic.RoleNew
	TopicRoleElsewhere = topic.RoleElsewhere
)

// NewTopicReader makes one that keeps schemas in a cache.
func NewTopicReader(schemas *SchemaCache) *TopicReader { return topic.NewReader(schemas) }
