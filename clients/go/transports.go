package cdc

import (
	"github.com/pgcdc/cdc/clients/go/metrics"
	"github.com/pgcdc/cdc/clients/go/transport"
)

// How a stream comes: package transport.
type (
	// Connector opens sessions of a stream.
	Connector = transport.Connector
	// Session is a connection to a slot.
	Session = transport.Session
	// Server is what a session is connected to.
	Server = transport.Server
	// ServerMessage is a frame, or with a nil Frame a keepalive.
	ServerMessage = transport.ServerMessage
	// Status is progress reported to the server.
	Status = transport.Status
	// Transport is how a stream comes from the server.
	Transport = transport.Kind
)

// Constants of package transport.
const (
	TransportReplication = transport.Replication
	TransportFetch       = transport.Fetch
)

// Measurements: package metrics.
type (
	// Metrics takes in measurements.
	Metrics = metrics.Metrics
	// Counter is the name of one.
	Counter = metrics.Counter
	// Gauge is the name of one.
	Gauge = metrics.Gauge
	// Histogram is the name of one.
	Histogram = metrics.Histogram
)

// Constants of package metrics.
const (
	EventsTotal             = metrics.EventsTotal
	TransactionsTotal       = metrics.TransactionsTotal
	BytesTotal              = metrics.BytesTotal
	BatchesTotal            = metrics.BatchesTotal
	ReconnectsTotal         = metrics.ReconnectsTotal
	StoreFailuresTotal      = metrics.StoreFailuresTotal
	DeadLettersTotal        = metrics.DeadLettersTotal
	RedactedTotal           = metrics.RedactedTotal
	VersionMismatchesTotal  = metrics.VersionMismatchesTotal
	LoadRowsTotal           = metrics.LoadRowsTotal
	UnknownFieldsTotal      = metrics.UnknownFieldsTotal
	LagSeconds              = metrics.LagSeconds
	LagBytes                = metrics.LagBytes
	RetainedWALBytes        = metrics.RetainedWALBytes
	LoadRowsExpected        = metrics.LoadRowsExpected
	BufferedBytes           = metrics.BufferedBytes
	GapsTotal               = metrics.GapsTotal
	Connected               = metrics.Connected
	HeartbeatAgeSeconds     = metrics.HeartbeatAgeSeconds
	BuildInfo               = metrics.BuildInfo
	ReceiveDelaySeconds     = metrics.ReceiveDelaySeconds
	AcknowledgeDelaySeconds = metrics.AcknowledgeDelaySeconds
	ReadDelaySeconds        = metrics.ReadDelaySeconds
)
