package setup

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// pattern is one of the options tables and exclude_tables; a name that is "*" without quotes is nil.
type pattern struct{ schema, table *string }

// patterns reads a list of them, as the server does: names as in SQL.
func patterns(list string) (all []pattern, err error) {
	for rest := list; ; {
		var p pattern
		var end byte
		if p.schema, end, rest = name(rest); end != '.' {
			return nil, fmt.Errorf("%q is no list of schema.table", list)
		}
		if p.table, end, rest = name(rest); end == '.' {
			return nil, fmt.Errorf("%q is no list of schema.table", list)
		}
		all = append(all, p)
		if end == 0 {
			return all, nil
		}
	}
}

// name takes one from the front of a list, and what has ended it: a dot, a comma, or 0.
func name(text string) (found *string, end byte, rest string) {
	var b strings.Builder
	quoted, literal := false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' && quoted && strings.HasPrefix(text[i+1:], `"`):
			b.WriteByte(c)
			i++
		case c == '"':
			quoted, literal = !quoted, true
		case !quoted && (c == '.' || c == ','):
			return ended(&b, literal), c, text[i+1:]
		case quoted:
			b.WriteByte(c)
		case c != ' ':
			b.WriteString(strings.ToLower(string(c)))
		}
	}
	return ended(&b, literal), 0, ""
}

func ended(b *strings.Builder, literal bool) *string {
	text := b.String()
	if text == "*" && !literal {
		return nil
	}
	return &text
}

// exact tells whether it names one table.
func (p pattern) exact() bool { return p.schema != nil && p.table != nil }

// relation is its name in SQL.
func (p pattern) relation() string { return pgx.Identifier{*p.schema, *p.table}.Sanitize() }

// condition on pg_class c and pg_namespace n.
func (p pattern) condition() string {
	var parts []string
	if p.schema != nil {
		parts = append(parts, "n.nspname = "+literal(*p.schema))
	}
	if p.table != nil {
		parts = append(parts, "c.relname = "+literal(*p.table))
	}
	if len(parts) == 0 {
		return "true"
	}
	return strings.Join(parts, " AND ")
}

// either is met by what one of them matches.
func either(all []pattern) string {
	parts := make([]string, len(all))
	for i, p := range all {
		parts[i] = p.condition()
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
