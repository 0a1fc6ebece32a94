package libpq

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Word is a keyword of libpq's connection strings, and what becomes of it here.
// docs/clients.md has the same table; a test compares them.
type Word struct {
	Name, Env string
	Does      Treatment
	why       string // refused: why; accepted: why that does no harm
}

// Treatment is what becomes of a word.
type Treatment string

const (
	honoured Treatment = "honoured"
	accepted Treatment = "accepted"
	refusedW Treatment = "refused"
)

// Words are those of libpq 18, and servicefile.
var Words = []Word{
	{"service", "PGSERVICE", honoured, ""},
	{"servicefile", "PGSERVICEFILE", honoured, ""},
	{"user", "PGUSER", honoured, ""},
	{"password", "PGPASSWORD", honoured, ""},
	{"passfile", "PGPASSFILE", honoured, ""},
	{"channel_binding", "PGCHANNELBINDING", honoured, ""},
	{"connect_timeout", "PGCONNECT_TIMEOUT", honoured, ""},
	{"dbname", "PGDATABASE", honoured, ""},
	{"host", "PGHOST", honoured, ""},
	{"hostaddr", "PGHOSTADDR", honoured, ""},
	{"port", "PGPORT", honoured, ""},
	{"client_encoding", "PGCLIENTENCODING", honoured, ""},
	{"options", "PGOPTIONS", honoured, ""},
	{"application_name", "PGAPPNAME", honoured, ""},
	{"fallback_application_name", "", honoured, ""},
	{"keepalives", "", honoured, ""},
	{"keepalives_idle", "", honoured, ""},
	{"keepalives_interval", "", honoured, ""},
	{"keepalives_count", "", honoured, ""},
	{"tcp_user_timeout", "", honoured, ""},
	{"sslmode", "PGSSLMODE", honoured, ""},
	{"sslnegotiation", "PGSSLNEGOTIATION", honoured, ""},
	{"sslcompression", "PGSSLCOMPRESSION", accepted, "there is none"},
	{"sslcert", "PGSSLCERT", honoured, ""},
	{"sslkey", "PGSSLKEY", honoured, ""},
	{"sslkeylogfile", "", refusedW, "keys of connections are not written"},
	{"sslpassword", "", honoured, ""},
	{"sslcertmode", "PGSSLCERTMODE", honoured, ""},
	{"sslrootcert", "PGSSLROOTCERT", honoured, ""},
	{"sslcrl", "PGSSLCRL", honoured, ""},
	{"sslcrldir", "PGSSLCRLDIR", honoured, ""},
	{"sslsni", "PGSSLSNI", honoured, ""},
	{"requirepeer", "PGREQUIREPEER", honoured, ""},
	{"require_auth", "PGREQUIREAUTH", honoured, ""},
	{"min_protocol_version", "PGMINPROTOCOLVERSION", honoured, ""},
	{"max_protocol_version", "PGMAXPROTOCOLVERSION", honoured, ""},
	{"ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", honoured, ""},
	{"ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", honoured, ""},
	{"gssencmode", "PGGSSENCMODE", honoured, ""},
	{"krbsrvname", "PGKRBSRVNAME", accepted, "no ticket is ever used"},
	{"gsslib", "PGGSSLIB", accepted, "no ticket is ever used"},
	{"gssdelegation", "PGGSSDELEGATION", accepted, "no ticket is ever used"},
	{"replication", "", refusedW, "the client says itself what kind of connection it makes"},
	{"target_session_attrs", "PGTARGETSESSIONATTRS", honoured, ""},
	{"load_balance_hosts", "PGLOADBALANCEHOSTS", honoured, ""},
	{"scram_client_key", "", refusedW, "give the password"},
	{"scram_server_key", "", refusedW, "give the password"},
	{"oauth_issuer", "", refusedW, "there is no authentication by OAuth"},
	{"oauth_client_id", "", refusedW, "there is no authentication by OAuth"},
	{"oauth_client_secret", "", refusedW, "there is no authentication by OAuth"},
	{"oauth_scope", "", refusedW, "there is no authentication by OAuth"},
	{"requiressl", "PGREQUIRESSL", refusedW, "use sslmode=require"},
	// Only in the environment.
	{"datestyle", "PGDATESTYLE", honoured, ""},
	{"timezone", "PGTZ", honoured, ""},
	{"geqo", "PGGEQO", honoured, ""},
	{"", "PGSYSCONFDIR", refusedW, "name the file by PGSERVICEFILE"},
	{"", "PGLOCALEDIR", accepted, "messages of the client are not translated"},
	{"", "PGOAUTHDEBUG", accepted, "there is no authentication by OAuth"},
}

// settings are those given by name, whatever by.
type settings map[string]string

// harmless gives values of words that are refused otherwise, or of which one is refused.
func (w *Word) check(value string) error {
	refuse := func(why string) error {
		return &ConfigError{fmt.Sprintf("%s is not supported: %s", cmp.Or(w.Name, w.Env), why)}
	}
	switch w.Name {
	case "gssencmode":
		if value == "require" {
			return refuse("there is no encryption by GSSAPI; use TLS")
		}
		return oneOf(w.Name, value, "disable", "prefer")
	case "client_encoding":
		switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(value)) {
		case "utf8", "unicode", "auto":
			return nil
		}
		return refuse("the client reads UTF8")
	case "load_balance_hosts":
		return oneOf(w.Name, value, "disable", "random")
	case "requiressl":
		if value == "0" {
			return nil
		}
	}
	if w.Does == refusedW {
		return refuse(w.why)
	}
	return nil
}

func oneOf(name, value string, list ...string) error {
	for _, v := range list {
		if v == value {
			return nil
		}
	}
	return &ConfigError{fmt.Sprintf("%s is %q: it can be %s", name, value, strings.Join(list, " or "))}
}

// ConfigError is one of a connection string, which trying again does not mend.
type ConfigError struct{ text string }

func (e *ConfigError) Error() string { return "cdc: connection string: " + e.text }

// number reads a setting that is an integer; def if it is not given.
func (s settings) number(name string, def int) (int, error) {
	value, ok := s[name]
	if !ok || value == "" {
		return def, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil {
		return 0, &ConfigError{fmt.Sprintf("%s is %q, which is no integer", name, value)}
	}
	return n, nil
}

func (s settings) seconds(name string) (time.Duration, error) {
	n, err := s.number(name, 0)
	return time.Duration(n) * time.Second, err
}
