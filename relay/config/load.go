package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/pgcdc/cdc/relay/plan"
)

// Load reads the file, if one is named, and the environment (as os.Environ gives it) over it.
// All that is wrong is told at once.
func Load(file string, environ []string) (*Config, error) {
	given := map[string]string{}
	var wrong []error
	if file != "" {
		wrong = append(wrong, readFile(file, given))
	}
	wrong = append(wrong, readEnvironment(environ, given))
	c := &Config{Postgres: Postgres{Options: map[string]string{}}}
	wrong = append(wrong, c.apply(given))
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return c, c.check()
}

// apply sets everything, by default or as it is given.
func (c *Config) apply(given map[string]string) error {
	var wrong []error
	for i := range Settings {
		s := &Settings[i]
		value, ok := given[s.Name]
		if !ok {
			value = s.Default
		}
		if err := s.set(c, value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", s.Name, err))
		}
	}
	for name, value := range given {
		if option, ok := strings.CutPrefix(name, optionsPrefix); ok {
			c.Postgres.Options[option] = value
		}
	}
	return errors.Join(wrong...)
}

// readFile takes in a file in TOML.
func readFile(file string, given map[string]string) error {
	var content map[string]any
	if _, err := toml.DecodeFile(file, &content); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var wrong []error
	flatten("", content, func(name, value string) {
		if err := known(name); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", file, err))
		}
		given[name] = value
	})
	return errors.Join(wrong...)
}

// flatten gives the values of tables in tables by their names.
func flatten(prefix string, content map[string]any, put func(name, value string)) {
	for key, value := range content {
		switch v := value.(type) {
		case map[string]any:
			flatten(prefix+key+".", v, put)
		case []any:
			parts := make([]string, len(v))
			for i := range v {
				parts[i] = fmt.Sprint(v[i])
			}
			put(prefix+key, strings.Join(parts, ","))
		default:
			put(prefix+key, fmt.Sprint(v))
		}
	}
}

// readEnvironment takes in the variables that begin with CDC_RELAY_.
func readEnvironment(environ []string, given map[string]string) error {
	names := map[string]string{}
	for i := range Settings {
		names[Settings[i].Env()] = Settings[i].Name
	}
	var wrong []error
	for _, entry := range environ {
		variable, value, _ := strings.Cut(entry, "=")
		name := names[variable]
		if option, ok := strings.CutPrefix(variable, "CDC_RELAY_POSTGRES_OPTIONS_"); ok && option != "" {
			name = optionsPrefix + strings.ToLower(option)
		}
		if name != "" {
			given[name] = value
		} else if strings.HasPrefix(variable, "CDC_RELAY_") {
			known := make([]string, 0, len(names))
			for n := range names {
				known = append(known, n)
			}
			wrong = append(wrong, fmt.Errorf("there is no setting for the variable %s%s", variable, meant(variable, known)))
		}
	}
	return errors.Join(wrong...)
}

// known tells whether there is a setting of a name.
func known(name string) error {
	if strings.HasPrefix(name, optionsPrefix) {
		return nil
	}
	names := make([]string, len(Settings))
	for i := range Settings {
		names[i] = Settings[i].Name
	}
	if slices.Contains(names, name) {
		return nil
	}
	return fmt.Errorf("there is no setting %s%s", name, meant(name, names))
}

// meant says which name is the nearest, if one is near.
func meant(name string, names []string) string {
	best, distance := "", len(name)/2+1
	slices.Sort(names)
	for _, n := range names {
		if d := editDistance(name, n); d < distance {
			best, distance = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": is %s meant?", best)
}

// editDistance counts insertions, removals and replacements of bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, before+1)
		}
	}
	return row[len(b)]
}

// check looks for what does not go together.
func (c *Config) check() error {
	var wrong []error
	if c.Postgres.Slot == "" {
		wrong = append(wrong, errors.New("postgres.slot: must be set"))
	}
	if err := plan.CheckPrefix(c.Relay.Prefix); err != nil {
		wrong = append(wrong, fmt.Errorf("relay.prefix: %w", err))
	}
	if _, err := plan.ParseTemplate(c.Relay.Topic); err != nil {
		wrong = append(wrong, fmt.Errorf("relay.topic: %w", err))
	}
	buses := 0
	for _, given := range []bool{c.NATS.Embedded != "", c.NATS.URL != "", len(c.Kafka.Brokers) > 0} {
		if given {
			buses++
		}
	}
	if buses != 1 {
		wrong = append(wrong, errors.New("exactly one of nats.embedded, nats.url and kafka.brokers must be set"))
	}
	if c.Kafka.SASL != "none" && (c.Kafka.User == "" || c.Kafka.PasswordFile == "") {
		wrong = append(wrong, fmt.Errorf("kafka.sasl is %s: kafka.user and kafka.password_file must be set", c.Kafka.SASL))
	}
	if _, ok := c.Postgres.Options["format"]; ok {
		wrong = append(wrong, errors.New("postgres.options.format: the relay reads Protobuf; relay.value says what it writes"))
	}
	wrong = append(wrong, c.checkRows()...)
	for _, file := range []string{c.NATS.Creds, c.NATS.CA, c.NATS.Cert, c.NATS.Key, c.Kafka.CA, c.Kafka.Cert, c.Kafka.Key, c.Kafka.PasswordFile,
		c.Registry.CA, c.Registry.PasswordFile} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

// checkRows looks at what rows as values need.
func (c *Config) checkRows() (wrong []error) {
	if c.Relay.Value != "row" {
		if len(c.Registry.URL) > 0 {
			wrong = append(wrong, fmt.Errorf("registry.url: only for relay.value = row, and it is %s", c.Relay.Value))
		}
		return wrong
	}
	if len(c.Registry.URL) == 0 {
		wrong = append(wrong, errors.New("relay.value is row: registry.url must be set"))
	}
	for _, text := range c.Registry.URL {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			wrong = append(wrong, errors.New("registry.url: it is a list of URLs that begin with http:// or https://"))
		} else if u.User != nil {
			wrong = append(wrong, errors.New("registry.url: the password is to be in registry.password_file, and the user in registry.user"))
		}
	}
	if (c.Registry.User == "") != (c.Registry.PasswordFile == "") {
		wrong = append(wrong, errors.New("registry.user and registry.password_file: one is not there without the other"))
	}
	if c.Relay.TooLarge == "reference" {
		wrong = append(wrong, errors.New("relay.too_large is reference, and a message without its row is none for relay.value = row: set it to stop or dead_letter"))
	}
	return wrong
}
