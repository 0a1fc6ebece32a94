package cdc

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgservicefile"
	"github.com/jackc/pgx/v5/pgconn"
)

// dialer makes connections of one kind: for a stream, a load, a store. Where connections
// are not safe it says so, once.
type dialer struct {
	logger *slog.Logger
	said   sync.Map // what was said already
}

// defaultConnectTimeout is for each host, where the connection string has none;
// and minQuestion is the least that each question before a stream begins may take.
const (
	defaultConnectTimeout = 30 * time.Second
	minQuestion           = 5 * time.Second
)

// questionTimeout is how long the server may take to answer what is asked before a
// stream begins.
func questionTimeout(config *pgconn.Config) time.Duration {
	if config.ConnectTimeout == 0 {
		return time.Hour // no limit was asked for
	}
	return max(config.ConnectTimeout, minQuestion)
}

func (d *dialer) warn(text string, args ...any) {
	if d == nil || d.logger == nil {
		return
	}
	if _, again := d.said.LoadOrStore(text, true); !again {
		d.logger.Warn(text, args...)
	}
}

// connect makes an ordinary connection, or with change another one.
func (d *dialer) connect(ctx context.Context, conninfo string, change func(*pgconn.Config)) (*pgconn.PgConn, error) {
	config, err := d.parse(conninfo)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(config)
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, explained(err)
	}
	if remote := conn.Conn().RemoteAddr(); remote.Network() == "tcp" && !verifies(config.TLSConfig) {
		d.warn("the connection is not protected against others on the network: use sslmode=verify-full", "server", remote.String())
	}
	return conn, nil
}

// verifies tells whether a server's certificate is looked at.
func verifies(config *tls.Config) bool {
	return config != nil && (!config.InsecureSkipVerify || config.VerifyPeerCertificate != nil)
}

// parse is pgconn.ParseConfig with the words that it leaves out, and with what a client
// of cdc needs.
func (d *dialer) parse(conninfo string) (*pgconn.Config, error) {
	given, err := givenSettings(conninfo)
	if err != nil {
		return nil, err
	}
	if err := given.check(); err != nil {
		return nil, err
	}
	if file, bad := unsafePassfile(given); bad {
		d.warn("the passfile is not used: group or others may read it; its mode should be 0600", "passfile", file)
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
	for _, w := range words {
		if w.name != "application_name" && w.name != "options" && w.name != "timezone" {
			delete(config.RuntimeParams, w.name)
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
	if given["connect_timeout"] == "" {
		config.ConnectTimeout = defaultConnectTimeout
	}
	if d != nil && d.logger != nil {
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { logNotice(d.logger, n) }
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

// hasHost tells whether a URL names a host before its query.
func hasHost(conninfo string) bool {
	rest := afterUser(conninfo)
	return isURL(conninfo) && rest != "" && rest[0] != '/' && rest[0] != '?'
}

// resolve has names of hosts looked up in a list of addresses, one for each.
func resolve(config *pgconn.Config, addresses []string) error {
	hosts := []string{config.Host}
	for _, f := range config.Fallbacks {
		if f.Host != hosts[len(hosts)-1] {
			hosts = append(hosts, f.Host)
		}
	}
	if len(hosts) != len(addresses) {
		return &configError{fmt.Sprintf("hostaddr has %d addresses for %d hosts", len(addresses), len(hosts))}
	}
	known := map[string]string{}
	for i, host := range hosts {
		known[host] = strings.TrimSpace(addresses[i])
	}
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		if known[host] == "" {
			return nil, fmt.Errorf("cdc: hostaddr has no address of %q", host)
		}
		return []string{known[host]}, nil
	}
	return nil
}

// logNotice logs what the server says beside its answers.
func logNotice(logger *slog.Logger, n *pgconn.Notice) {
	level := slog.LevelInfo
	if n.Severity == "WARNING" || n.SeverityUnlocalized == "WARNING" {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{slog.String("severity", n.Severity), slog.String("message", n.Message), slog.String("sqlstate", n.Code)}
	if n.Detail != "" {
		attrs = append(attrs, slog.String("detail", n.Detail))
	}
	if n.Hint != "" {
		attrs = append(attrs, slog.String("hint", n.Hint))
	}
	logger.LogAttrs(context.Background(), level, "the server says", attrs...)
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

// givenSettings are those of the environment, the service and the connection string, but
// for what stands before the ? of a URL.
func givenSettings(conninfo string) (settings, error) {
	given := settings{}
	for _, w := range words {
		if value := os.Getenv(w.env); w.env != "" && value != "" {
			if w.name == "" {
				given[w.env] = value
			} else {
				given[w.name] = value
			}
		}
	}
	own := settings{}
	if isURL(conninfo) {
		if _, query, ok := strings.Cut(afterUser(conninfo), "?"); ok {
			for pair := range strings.SplitSeq(query, "&") {
				name, value, _ := strings.Cut(pair, "=")
				decoded, err := url.PathUnescape(value)
				if err != nil {
					return nil, &configError{"bad escape in the URL's query"}
				}
				if name == "ssl" && decoded == "true" {
					name, decoded = "sslmode", "require"
				}
				own[name] = decoded
			}
		}
	} else if err := own.scan(conninfo); err != nil {
		return nil, err
	}
	for name, value := range serviceSettings(given, own) {
		given[name] = value
	}
	for name, value := range own {
		given[name] = value
	}
	if value, ok := given["database"]; ok {
		given["dbname"] = value
		delete(given, "database")
	}
	return given, nil
}

// serviceSettings of the service that is named; none where it cannot be read, which
// pgconn reports.
func serviceSettings(given, own settings) settings {
	service, file := own["service"], own["servicefile"]
	if service == "" {
		service = given["service"]
	}
	if file == "" {
		file = given["servicefile"]
	}
	if service == "" {
		return nil
	}
	if file == "" {
		home, _ := os.UserHomeDir()
		file = filepath.Join(home, ".pg_service.conf")
	}
	read, err := pgservicefile.ReadServicefile(file)
	if err != nil {
		return nil
	}
	s, err := read.GetService(service)
	if err != nil {
		return nil
	}
	return s.Settings
}

// scan reads keywords and values.
func (s settings) scan(text string) error {
	const space = " \t\n\r\v\f"
	for text = strings.TrimLeft(text, space); text != ""; text = strings.TrimLeft(text, space) {
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			return &configError{"a keyword without ="}
		}
		text = strings.TrimLeft(rest, space)
		quoted := strings.HasPrefix(text, "'")
		if quoted {
			text = text[1:]
		}
		var value strings.Builder
		i := 0
		for ; i < len(text); i++ {
			c := text[i]
			if quoted && c == '\'' || !quoted && strings.IndexByte(space, c) >= 0 {
				break
			}
			if c == '\\' && i+1 < len(text) {
				i++
				c = text[i]
			}
			value.WriteByte(c)
		}
		if quoted {
			if i == len(text) {
				return &configError{"a quoted value that does not end"}
			}
			i++
		}
		s[strings.TrimSpace(name)] = value.String()
		text = text[min(i, len(text)):]
	}
	return nil
}

// check refuses what cannot be honoured, and words that are none.
func (s settings) check() error {
	for name, value := range s {
		found := false
		for i := range words {
			w := &words[i]
			if w.name != name && (w.name != "" || w.env != name) {
				continue
			}
			found = true
			if value == "" || w.env == "PGSYSCONFDIR" && (s["service"] == "" || s["servicefile"] != "") {
				continue
			}
			if err := w.check(value); err != nil {
				return err
			}
		}
		if !found {
			return &configError{fmt.Sprintf("%q is no keyword of it", name)}
		}
	}
	if mode := s["sslmode"]; s["sslrootcert"] == "system" && mode != "" && mode != "verify-full" {
		return &configError{fmt.Sprintf("sslmode=%s is too weak for sslrootcert=system: use verify-full", mode)}
	}
	return nil
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

var tlsVersionNames = map[string]uint16{"": 0, "TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

func tlsVersions(config *pgconn.Config, s settings) error {
	var bounds [2]uint16
	for i, name := range []string{"ssl_min_protocol_version", "ssl_max_protocol_version"} {
		version, ok := tlsVersionNames[s[name]]
		if !ok {
			return &configError{fmt.Sprintf("%s is %q: it can be TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3", name, s[name])}
		}
		bounds[i] = version
	}
	set := func(c *tls.Config) {
		if c != nil {
			c.MinVersion, c.MaxVersion = bounds[0], bounds[1]
		}
	}
	set(config.TLSConfig)
	for _, f := range config.Fallbacks {
		set(f.TLSConfig)
	}
	return nil
}

// shuffle puts hosts into any order; the attempts at one stay together.
func shuffle(config *pgconn.Config) {
	first := &pgconn.FallbackConfig{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}
	var hosts [][]*pgconn.FallbackConfig
	for _, f := range append([]*pgconn.FallbackConfig{first}, config.Fallbacks...) {
		if n := len(hosts); n > 0 && hosts[n-1][0].Host == f.Host && hosts[n-1][0].Port == f.Port {
			hosts[n-1] = append(hosts[n-1], f)
		} else {
			hosts = append(hosts, []*pgconn.FallbackConfig{f})
		}
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	var all []*pgconn.FallbackConfig
	for _, h := range hosts {
		all = append(all, h...)
	}
	config.Host, config.Port, config.TLSConfig = all[0].Host, all[0].Port, all[0].TLSConfig
	config.Fallbacks = all[1:]
}

// dialing sets up sockets as the words say.
func dialing(config *pgconn.Config, s settings) error {
	alive, err := s.number("keepalives", 1)
	if err != nil {
		return err
	}
	count, err := s.number("keepalives_count", 0)
	if err != nil {
		return err
	}
	idle, err := s.seconds("keepalives_idle")
	if err != nil {
		return err
	}
	interval, err := s.seconds("keepalives_interval")
	if err != nil {
		return err
	}
	userTimeout, err := s.number("tcp_user_timeout", 0)
	if err != nil {
		return err
	}
	dialer := &net.Dialer{KeepAlive: -1}
	if alive != 0 {
		dialer = &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: idle, Interval: interval, Count: count}}
	}
	peer := s["requirepeer"]
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		switch c := conn.(type) {
		case *net.TCPConn:
			if userTimeout > 0 {
				err = setUserTimeout(c, userTimeout)
			}
		case *net.UnixConn:
			if peer != "" {
				err = checkPeer(c, peer)
			}
		}
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	}
	return nil
}
