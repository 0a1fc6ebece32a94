package libpq

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgservicefile"
)

// givenSettings are those of the environment, the service and the connection string, but
// for what stands before the ? of a URL.
func givenSettings(conninfo string) (settings, error) {
	given := settings{}
	for _, w := range Words {
		if value := os.Getenv(w.Env); w.Env != "" && value != "" {
			if w.Name == "" {
				given[w.Env] = value
			} else {
				given[w.Name] = value
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
					return nil, &ConfigError{"bad escape in the URL's query"}
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
			return &ConfigError{"a keyword without ="}
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
				return &ConfigError{"a quoted value that does not end"}
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
		for i := range Words {
			w := &Words[i]
			if w.Name != name && (w.Name != "" || w.Env != name) {
				continue
			}
			found = true
			if value == "" || w.Env == "PGSYSCONFDIR" && (s["service"] == "" || s["servicefile"] != "") {
				continue
			}
			if err := w.check(value); err != nil {
				return err
			}
		}
		if !found {
			return &ConfigError{fmt.Sprintf("%q is no keyword of it", name)}
		}
	}
	if mode := s["sslmode"]; s["sslrootcert"] == "system" && mode != "" && mode != "verify-full" {
		return &ConfigError{fmt.Sprintf("sslmode=%s is too weak for sslrootcert=system: use verify-full", mode)}
	}
	return nil
}
