package jetstream

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/pgcdc/cdc/relay/config"
	"github.com/pgcdc/cdc/relay/internal/verify"
)

// operator signs accounts, an account users.
type operator struct {
	account nkeys.KeyPair
	claims  *jwt.OperatorClaims
	// resolver knows the account, which has JetStream, and that of the server itself.
	resolver *server.MemAccResolver
	system   string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	key, id := pair(t, nkeys.CreateOperator)
	o := &operator{claims: jwt.NewOperatorClaims(id), resolver: &server.MemAccResolver{}}
	_, o.system = o.newAccount(t, key, func(*jwt.AccountClaims) {})
	o.account, _ = o.newAccount(t, key, func(c *jwt.AccountClaims) {
		c.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	})
	o.claims.SystemAccount = o.system
	text, err := o.claims.Encode(key)
	if err == nil {
		o.claims, err = jwt.DecodeOperatorClaims(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// newAccount makes one that the server knows of.
func (o *operator) newAccount(t *testing.T, by nkeys.KeyPair, set func(*jwt.AccountClaims)) (nkeys.KeyPair, string) {
	t.Helper()
	key, id := pair(t, nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(id)
	set(claims)
	text, err := claims.Encode(by)
	if err == nil {
		err = o.resolver.Store(id, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key, id
}

func pair(t *testing.T, create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	t.Helper()
	key, err := create()
	if err != nil {
		t.Fatal(err)
	}
	id, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, id
}

// creds makes a user, and the file for it.
func (o *operator) creds(t *testing.T, set func(*jwt.UserClaims)) string {
	t.Helper()
	key, id := pair(t, nkeys.CreateUser)
	claims := jwt.NewUserClaims(id)
	set(claims)
	text, err := claims.Encode(o.account)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	content, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "relay.creds")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A file of credentials lets the relay in where users have JWTs and keys, and no other file does.
func TestCreds(t *testing.T) {
	o := newOperator(t)
	s := verify.NATSServer(t, &server.Options{TrustedOperators: []*jwt.OperatorClaims{o.claims}, AccountResolver: o.resolver, SystemAccount: o.system})
	c := config.NATS{URL: s.ClientURL(), Creds: o.creds(t, func(*jwt.UserClaims) {}), Stream: "CDC", Create: true, Replicas: 1, Partitions: 1, InFlight: 1 << 20}
	if err := reaches(t, c); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"no credentials":    "",
		"another operator":  newOperator(t).creds(t, func(*jwt.UserClaims) {}),
		"expired":           o.creds(t, func(c *jwt.UserClaims) { c.Expires = time.Now().Add(-time.Hour).Unix() }),
		"publishing denied": o.creds(t, func(c *jwt.UserClaims) { c.Pub.Deny.Add(">") }),
	} {
		c.Creds = file
		if err := reaches(t, c); err == nil {
			t.Errorf("%s: it was let in", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}
