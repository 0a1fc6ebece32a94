package plan

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/pgcdc/cdc/relay/bus"
)

// Template says how topics of tables are called: parts that are separated by dots.
type Template struct{ parts []string }

// String is what ParseTemplate reads.
func (t Template) String() string { return "{prefix}." + strings.Join(t.parts, ".") }

// DefaultTemplate is that of the setting relay.topic.
const DefaultTemplate = "{prefix}.{schema}.{table}"

// variables of a template, and whether each must be there.
var variables = map[string]bool{"{schema}": true, "{table}": true, "{database}": false, "{version}": false}

// ParseTemplate reads one. Different tables have different topics: each part is a variable or a word, a name
// has no dots, and no template is without schema and table.
func ParseTemplate(text string) (t Template, err error) {
	rest, ok := strings.CutPrefix(text, "{prefix}.")
	if !ok {
		return t, fmt.Errorf("%q does not begin with {prefix}. (permissions and the stream are by the prefix)", text)
	}
	parts := strings.Split(rest, ".")
	for _, part := range parts {
		_, variable := variables[part]
		if !variable && (part == "" || strings.Contains(part, "--") || string(escapeWord(part)) != part) {
			return t, fmt.Errorf("%q is neither one of {schema}, {table}, {database}, {version}, nor a word of letters, digits, _ and -", part)
		}
	}
	for name, must := range variables {
		n := 0
		for _, part := range parts {
			if part == name {
				n++
			}
		}
		if n > 1 {
			return t, fmt.Errorf("%s is there twice", name)
		}
		if n == 0 && must {
			return t, fmt.Errorf("%s is missing: several tables would share a topic, where keys, TRUNCATE and REWRITE would be of all of them", name)
		}
	}
	return Template{parts}, nil
}

// escapeWord leaves alone what a word may have.
func escapeWord(word string) []byte {
	return []byte(strings.Map(func(r rune) rune {
		if r == '-' || len(escape(nil, string(r))) == 1 {
			return r
		}
		return -1
	}, word))
}

// family gives the topics of a table.
func (t Template) family(prefix, database, schema, table string) bus.Family {
	parts := t.parts
	if parts == nil {
		return of(Base(prefix, schema, table))
	}
	values := map[string]string{"{schema}": schema, "{table}": table, "{database}": database}
	name, at := []byte(prefix), -1
	for _, part := range parts {
		name = append(name, '.')
		value, variable := values[part]
		switch {
		case part == "{version}":
			at = len(name)
		case variable:
			name = escape(name, value)
		default:
			name = append(name, part...)
		}
	}
	if at < 0 {
		return of(shorten(string(name)))
	}
	return around(string(name[:at]), string(name[at:]))
}

// of is a table's topics where versions are at the end.
func of(base string) bus.Family { return bus.Family{Bare: base, Before: base + "."} }

// around is a table's topics where versions are between two texts; a name that is too long is cut as shorten does.
func around(before, after string) bus.Family {
	const hash, version = 2 + 16, 12
	if len(before)+len(after) > MaxName-version {
		sum := sha256.Sum256([]byte(before + "{version}" + after))
		before = strings.TrimRight(before[:min(len(before), MaxName-version-hash-2)], "-.") + "."
		after = fmt.Sprintf(".--%x", sum[:8])
	}
	return bus.Family{Before: before, After: after}
}

// topic is that of a version; 0: the table is not registered.
func topicOf(f bus.Family, major uint32) string {
	if major == 0 && f.Bare != "" {
		return f.Bare
	}
	return fmt.Sprintf("%sv%d%s", f.Before, major, f.After)
}

// family gives the topics of a table of the source at hand.
func (p *Plan) family(schema, table string) bus.Family {
	return p.options.Topic.family(p.options.Prefix, p.from.Database, schema, table)
}

// known gives the topics of a family that exist, and those that were planned and may not be stored yet.
func (p *Plan) known(f bus.Family, existing []string) []string {
	for _, topic := range p.used[f] {
		if !slices.Contains(existing, topic) {
			existing = append(existing, topic)
		}
	}
	slices.Sort(existing)
	return existing
}
