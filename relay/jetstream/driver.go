// Package jetstream is the bus NATS JetStream, by a server elsewhere or one in the relay's
// own process.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
)

// Driver opens the bus.
type Driver struct {
	config config.NATS
	prefix string
	slot   string
	logger *slog.Logger

	server *server.Server // embedded, or nil
	lock   *folderLock
}

// New starts the embedded server, if that is configured.
func New(c config.NATS, prefix, slot string, logger *slog.Logger) (*Driver, error) {
	d := &Driver{config: c, prefix: prefix, slot: slot, logger: logger}
	if c.Embedded == "" {
		return d, nil
	}
	var err error
	if d.lock, err = lockFolder(c.Embedded); err != nil {
		return nil, err
	}
	if d.server, err = startServer(c, logger); err != nil {
		d.lock.release()
		return nil, err
	}
	return d, nil
}

// Describe implements bus.Driver.
func (d *Driver) Describe() string {
	if d.server != nil {
		return fmt.Sprintf("NATS JetStream inside of the relay, in %s, listening at %s, stream %s", d.config.Embedded, d.config.Listen, d.config.Stream)
	}
	return "NATS JetStream, stream " + d.config.Stream
}

// Close implements bus.Driver.
func (d *Driver) Close() {
	if d.server != nil {
		d.server.Shutdown()
		d.server.WaitForShutdown()
		d.lock.release()
	}
}

// connect makes a connection of its own for each session, which ends with it: a server that comes back need not
// have what it has acknowledged. So a checkpoint is only stored where no message was lost meanwhile.
func (d *Driver) connect() (*nats.Conn, error) {
	options := []nats.Option{nats.Name("cdc-relay"), nats.NoReconnect(), nats.Timeout(5 * time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			d.logger.Warn("NATS has refused something", "error", err)
		})}
	url := d.config.URL
	if d.server != nil {
		url = ""
		options = append(options, nats.InProcessServer(d.server))
	}
	if d.config.Creds != "" {
		options = append(options, nats.UserCredentials(d.config.Creds))
	}
	if d.config.CA != "" {
		options = append(options, nats.RootCAs(d.config.CA))
	}
	if d.config.Cert != "" {
		options = append(options, nats.ClientCert(d.config.Cert, d.config.Key))
	}
	return nats.Connect(url, options...)
}

// Open implements bus.Driver.
func (d *Driver) Open(ctx context.Context, e bus.Events) (bus.Bus, error) {
	conn, err := d.connect()
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	b := &Bus{driver: d, conn: conn, js: js, events: e, window: newWindow(d.config.InFlight), stored: make(chan struct{})}
	if err := b.find(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	if b.publisher, err = newPublisher(conn); err != nil {
		conn.Close()
		return nil, err
	}
	b.queue = make(chan item, 2*maxInFlight)
	go b.collect()
	go b.watch()
	return b, nil
}

// find looks for the stream and the bucket, and makes them if that is asked for.
func (b *Bus) find(ctx context.Context) (err error) {
	d := b.driver
	create := d.config.Create || d.server != nil
	b.stream, err = b.js.Stream(ctx, d.config.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) && create {
		b.stream, err = b.js.CreateStream(ctx, jetstream.StreamConfig{Name: d.config.Stream, Subjects: []string{d.prefix + ".>"},
			Storage: jetstream.FileStorage, Replicas: d.config.Replicas, MaxAge: d.config.MaxAge, MaxBytes: limit(d.config.MaxBytes),
			Duplicates: time.Second}) // ids are for the order alone: see publisher
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return &bus.MissingError{Name: d.config.Stream, Message: fmt.Sprintf("there is no stream %s: make it with the subjects %s.>, or set nats.create to true", d.config.Stream, d.prefix)}
	}
	if err != nil {
		return fmt.Errorf("stream %s of NATS: %w", d.config.Stream, err)
	}
	b.bucket, err = b.js.KeyValue(ctx, bucketName(d.config.Stream))
	if errors.Is(err, jetstream.ErrBucketNotFound) && create {
		b.bucket, err = b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucketName(d.config.Stream), Replicas: d.config.Replicas,
			Description: "How far cdc-relay has come: not to be removed", Storage: jetstream.FileStorage})
	}
	if err != nil {
		return fmt.Errorf("bucket %s of NATS: %w (nats.create = true makes it)", bucketName(d.config.Stream), err)
	}
	return nil
}

func bucketName(stream string) string { return stream + "_checkpoint" }

// limit is how NATS writes that there is none.
func limit(bytes int) int64 {
	if bytes == 0 {
		return -1
	}
	return int64(bytes)
}

// Check implements bus.Driver.
func (d *Driver) Check(ctx context.Context) (wrong []error) {
	b, err := d.Open(ctx, bus.Events{Stored: nil, Failed: func(error) {}})
	if err != nil {
		return []error{err}
	}
	defer b.Close()
	c := b.(*Bus).stream.CachedInfo().Config
	say := func(format string, arguments ...any) { wrong = append(wrong, fmt.Errorf(format, arguments...)) }
	if !covers(c.Subjects, d.prefix) {
		say("the stream %s has the subjects %v, and not %s.>: add it", c.Name, c.Subjects, d.prefix)
	}
	if len(c.Subjects) > 1 {
		say("the stream %s takes other subjects, too (%v): the relay must be the only one who writes to it", c.Name, c.Subjects)
	}
	if c.MaxAge > 0 && c.MaxAge < 2*d.config.HoldBack+time.Minute {
		say("the stream %s keeps messages for %v: less than twice nats.hold_back and a minute; what a reader has not taken by then is gone", c.Name, c.MaxAge)
	}
	if c.Storage != jetstream.FileStorage {
		say("the stream %s is kept in memory: a restart of the server loses it", c.Name)
	}
	if _, err := b.Load(ctx); err != nil {
		say("%w", err)
	}
	return wrong
}

func covers(subjects []string, prefix string) bool {
	for _, s := range subjects {
		if s == prefix+".>" || s == ">" {
			return true
		}
	}
	return false
}
