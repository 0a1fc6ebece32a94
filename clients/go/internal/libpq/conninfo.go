package libpq

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Parse is pgconn.ParseConfig with the words that it leaves out, and with what a client
// of cdc needs.
func (d *Dialer) Parse(conninfo string) (*pgconn.Config, error) {
	given, err := givenSettings(conninfo)
	if err != nil {
		return nil, err
	}
	if err := given.check(); err != nil {
		return nil, err
	}
	if file, bad := unsafePassfile(given); bad {
		d.warn("the password file is not used: others can read it; its mode should be 0600", "file", file)
		conninfo = with(conninfo, "passfile", os.DevNull)
	}
	addresses := strings.Split(given["hostaddr"], ",")
	if given["hostaddr"] != "" && given["host"] == "" && !hasHost(conninfo) {
		conninfo = with(conninfo, "host", given["hostaddr"])
	}
	config, err := pgconn.ParseConfig(conninfo)
	if err != nil {
		return nil, err
	}
	if given["hostaddr"] != "" {
		if err := resolve(config, addresses); err != nil {
			return nil, err
		}
	}
	parameters(config, given)
	if given["connect_timeout"] == "" {
		config.ConnectTimeout = defaultConnectTimeout
	}
	if d != nil && d.Logger != nil {
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { LogNotice(d.Logger, n) }
	}
	if err := tlsVersions(config, given); err != nil {
		return nil, err
	}
	if err := revoking(config, given); err != nil {
		return nil, err
	}
	if given["load_balance_hosts"] == "random" {
		shuffle(config)
	}
	return config, dialing(config, given)
}

// parameters sets those that the server is given when the connection begins.
func parameters(config *pgconn.Config, given settings) {
	for _, w := range Words {
		if w.Name != "application_name" && w.Name != "options" && w.Name != "timezone" {
			delete(config.RuntimeParams, w.Name)
		}
	}
	for _, name := range []string{"datestyle", "geqo"} {
		if value, ok := given[name]; ok {
			config.RuntimeParams[name] = value
		}
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "cdc"
		if name := given["fallback_application_name"]; name != "" {
			config.RuntimeParams["application_name"] = name
		}
	}
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.RuntimeParams["standard_conforming_strings"] = "on" // as all SQL text here takes for granted
}

// with adds a setting to a connection string.
func with(conninfo, name, value string) string {
	switch {
	case !isURL(conninfo):
		return conninfo + " " + name + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
	case strings.Contains(afterUser(conninfo), "?"):
		return conninfo + "&" + name + "=" + url.QueryEscape(value)
	}
	return conninfo + "?" + name + "=" + url.QueryEscape(value)
}

func isURL(conninfo string) bool {
	return strings.HasPrefix(conninfo, "postgres://") || strings.HasPrefix(conninfo, "postgresql://")
}

// afterUser is a URL from the host on.
func afterUser(u string) string {
	_, rest, _ := strings.Cut(u, "://")
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:]
	}
	return rest
}

// unsafePassfile tells whether somebody else can read passwords, as libpq does.
func unsafePassfile(s settings) (string, bool) {
	file := s["passfile"]
	if file == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", false
		}
		file = filepath.Join(home, ".pgpass")
	}
	info, err := os.Stat(file)
	return file, err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0
}
