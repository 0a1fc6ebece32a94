// Package kafka is the bus Apache Kafka, and what speaks its protocol: transactions, each with
// the checkpoint in it.
package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
)

// Driver opens the bus.
type Driver struct {
	config config.Kafka
	prefix string
	slot   string
	logger *slog.Logger
	base   []kgo.Opt // of all clients
}

// New reads certificates and passwords. It connects to nothing.
func New(c config.Kafka, prefix, slot string, logger *slog.Logger) (*Driver, error) {
	d := &Driver{config: c, prefix: prefix, slot: slot, logger: logger}
	d.base = []kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.ClientID("cdc-relay"), kgo.DialTimeout(5 * time.Second),
		kgo.RetryTimeout(20 * time.Second), kgo.MetadataMinAge(time.Second)}
	if c.TLS || c.CA != "" || c.Cert != "" {
		settings, err := tlsConfig(&c)
		if err != nil {
			return nil, err
		}
		d.base = append(d.base, kgo.DialTLSConfig(settings))
	}
	return d, d.addSASL()
}

func tlsConfig(c *config.Kafka) (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &bus.ConfigError{Message: "kafka.ca: no certificate is in " + c.CA}
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("kafka.cert: %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

func (d *Driver) addSASL() error {
	if d.config.SASL == "none" || d.config.SASL == "" {
		return nil
	}
	content, err := os.ReadFile(d.config.PasswordFile)
	if err != nil {
		return err
	}
	password, _, _ := strings.Cut(string(content), "\n")
	auth := scram.Auth{User: d.config.User, Pass: strings.TrimSuffix(password, "\r")}
	switch d.config.SASL {
	case "plain":
		d.base = append(d.base, kgo.SASL(plain.Auth{User: auth.User, Pass: auth.Pass}.AsMechanism()))
	case "scram-sha-256":
		d.base = append(d.base, kgo.SASL(auth.AsSha256Mechanism()))
	default:
		d.base = append(d.base, kgo.SASL(auth.AsSha512Mechanism()))
	}
	return nil
}

// Describe implements bus.Driver.
func (d *Driver) Describe() string { return "Kafka at " + strings.Join(d.config.Brokers, ",") }

// Close implements bus.Driver.
func (d *Driver) Close() {}

// transactional is the id that fences another relay with the same slot and topics.
func (d *Driver) transactional() string { return "cdc-relay." + d.prefix + "." + d.slot }

// checkpoints is the topic with them.
func (d *Driver) checkpoints() string { return d.prefix + ".checkpoints" }

// Open implements bus.Driver. What fences others is opened with Claim.
func (d *Driver) Open(ctx context.Context, e bus.Events) (bus.Bus, error) {
	b := &Bus{driver: d, events: e, turn: make(chan struct{}, 1), closed: make(chan struct{}), topics: map[string]*topic{},
		records: newRecords()}
	b.promise = b.produced
	b.unbroken, b.broken = context.WithCancel(context.Background())
	if err := b.dial(); err != nil {
		return nil, err
	}
	if _, err := b.topic(ctx, d.checkpoints()); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

var codecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(), "zstd": kgo.ZstdCompression()}

// compression of batches.
func (d *Driver) compression() kgo.ProducerOpt {
	if d.config.Compression == "lz4" {
		return kgo.WithCompressor(newLZ4())
	}
	return kgo.ProducerBatchCompression(codecs[d.config.Compression])
}

// newProducer makes a client that, with transactions, fences others with the first thing that it does.
func (b *Bus) newProducer() (*kgo.Client, error) {
	d := b.driver
	options := append(d.base[:len(d.base):len(d.base)], kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond),
		d.compression(), kgo.ProducerBatchMaxBytesFn(b.batchBytes),
		kgo.MaxBufferedRecords(1<<20), kgo.RecordDeliveryTimeout(d.config.TransactionLimit),
		kgo.ConcurrentTransactionsBackoff(2*time.Millisecond)) // one begins right after another
	if d.config.Transactions {
		options = append(options, kgo.TransactionalID(d.transactional()), kgo.TransactionTimeout(d.config.TransactionLimit))
	}
	return kgo.NewClient(options...)
}
