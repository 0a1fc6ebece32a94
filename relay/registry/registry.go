// Package registry has the types of tables' rows in a schema registry, as Confluent's has them.
package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/pgcdc/cdc/clients/go/schema"
	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/config"
)

// imported is what Import names: a copy, which a test compares with the original.
//
//go:embed cdc.proto
var imported string

// patience is how long a request may take: less than the timeout of a Kafka transaction.
const patience = 10 * time.Second

// Client of a registry.
type Client struct {
	registry *sr.Client
	urls     string
}

// New reads the certificates and the password. It connects to nothing.
func New(c config.Registry) (*Client, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &bus.ConfigError{Message: "registry.ca: no certificate is in " + c.CA}
		}
	}
	// A redirection would have the request arrive as another one.
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	options := []sr.ClientOpt{sr.HTTPClient(client), sr.DialTLSConfig(settings), sr.UserAgent("cdc-relay"), sr.URLs(slices.Clone(c.URL)...)}
	if c.User != "" {
		content, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("registry.password_file: %w", err)
		}
		password, _, _ := strings.Cut(string(content), "\n")
		options = append(options, sr.BasicAuth(c.User, strings.TrimSuffix(password, "\r")))
	}
	registry, err := sr.NewClient(options...)
	return &Client{registry, strings.Join(c.URL, ",")}, err
}

// Register has the type of a table's rows be the schema of a topic's values, and gives its id. The text is
// made of the table as the stream describes it: it is that of the event, whatever became of the table since.
func (c *Client) Register(ctx context.Context, topic string, t *schema.Table, major uint32) (int, error) {
	text, imports := Proto(t, major)
	s := sr.Schema{Schema: text, Type: sr.TypeProtobuf}
	if imports {
		is, err := c.ensure(ctx, Import, sr.Schema{Schema: imported, Type: sr.TypeProtobuf})
		if err != nil {
			return 0, err
		}
		s.References = []sr.SchemaReference{{Name: Import, Subject: Import, Version: is.Version}}
	}
	is, err := c.ensure(ctx, topic+"-value", s)
	return is.ID, err
}

// ensure looks a schema up, and registers it if it is not there.
func (c *Client) ensure(ctx context.Context, subject string, s sr.Schema) (sr.SubjectSchema, error) {
	is, err := c.registry.LookupSchema(ctx, subject, s)
	var refused *sr.ResponseError
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
		if _, err = c.registry.RegisterSchema(ctx, subject, s, -1, -1); err == nil {
			is, err = c.registry.LookupSchema(ctx, subject, s)
		}
	}
	if err != nil {
		return is, c.failed("does not take the schema of "+subject, err)
	}
	if is.ID <= 0 || is.ID > 1<<31-1 {
		return is, &bus.ConfigError{Message: fmt.Sprintf("the schema registry has given %s the id %d", subject, is.ID)}
	}
	return is, nil
}

// failed tells what asks for somebody's help from what may be otherwise the next time.
func (c *Client) failed(what string, err error) error {
	var refused *sr.ResponseError
	if !errors.As(err, &refused) {
		return fmt.Errorf("the schema registry: %w", err)
	}
	text := fmt.Sprintf("the schema registry at %s %s: %v (HTTP %d, error %d)", c.urls, what, refused, refused.StatusCode, refused.ErrorCode)
	switch code := refused.StatusCode; {
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return errors.New(text)
	}
	return &bus.ConfigError{Message: text}
}

// Check tells whether the registry answers, and knows what the relay registers.
func (c *Client) Check(ctx context.Context) error {
	types, err := c.registry.SupportedTypes(ctx)
	if err != nil {
		return c.failed("refuses", err)
	}
	if !slices.Contains(types, sr.TypeProtobuf) {
		return &bus.ConfigError{Message: fmt.Sprintf("the schema registry at %s does not know Protobuf, but %v", c.urls, types)}
	}
	return nil
}
