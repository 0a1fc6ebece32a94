package registry

import (
	"fmt"
	"strings"

	"github.com/pgcdc/cdc/clients/go/schema"
)

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// identifier makes one of a name, and tells whether it is another.
func identifier(name string) (id string, changed bool) {
	var b strings.Builder
	changed = name == "" || isDigit(name[0])
	if changed {
		b.WriteByte('_')
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; isLetter(c) || isDigit(c) || c == '_' {
			b.WriteByte(c)
		} else {
			b.WriteByte('_')
			changed = true
		}
	}
	return b.String(), changed
}

// packagePart is part of a package's name. Names that are no identifiers may be equal without what is left
// out, so they get a part of their hash.
func packagePart(name string) string {
	id, changed := identifier(name)
	if !changed {
		return id
	}
	return fmt.Sprintf("%s_%08x", id, uint32(schema.FingerprintOf([]byte(name))))
}

// messageName is OrderItem for order_item; what is no letter or digit separates words.
func messageName(table string) string {
	var b strings.Builder
	upper := true
	for i := 0; i < len(table); i++ {
		c := table[i]
		switch {
		case !isLetter(c) && !isDigit(c):
			upper = true
			continue
		case upper && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		upper = false
		b.WriteByte(c)
	}
	name := b.String()
	if name == "" || !isLetter(name[0]) {
		return "Table" + name
	}
	return name
}

// fieldNames are the columns' own; what is no identifier, or collides with another one, gets its
// attnum. That again may collide, so it is repeated.
func fieldNames(t *schema.Table) []string {
	names, suffix := make([]string, len(t.Columns)), make([]bool, len(t.Columns))
	for i := range t.Columns {
		names[i], suffix[i] = identifier(t.Columns[i].Name)
		if t.Columns[i].Redaction != 0 {
			names[i] += "_redacted"
		}
	}
	for again := true; again; again = collisions(names, suffix) {
		for i := range names {
			if suffix[i] {
				names[i] = fmt.Sprintf("%s_%d", names[i], t.Columns[i].Number)
			}
		}
	}
	return names
}

// collisions marks names that compilers do not tell from another one: names in JSON differ only in what is dropped here.
func collisions(names []string, collides []bool) (found bool) {
	first := map[string]int{}
	for i, name := range names {
		collides[i] = false
		fold := strings.ToLower(strings.ReplaceAll(name, "_", ""))
		if other, ok := first[fold]; ok {
			collides[i], collides[other], found = true, true, true
		} else {
			first[fold] = i
		}
	}
	return found
}

// comment makes a text harmless in one.
func comment(text string) string {
	var b strings.Builder
	last := rune(0)
	for _, c := range text {
		if last == '*' && c == '/' || last == '/' && c == '*' {
			b.WriteByte(' ')
		}
		last = c
		if ends(c) {
			c = ' '
		}
		b.WriteRune(c)
	}
	return b.String()
}

// ends tells whether a character ends a line somewhere, is invisible, or turns the order of what is displayed.
func ends(c rune) bool {
	for _, r := range [...][2]rune{{0, 0x1F}, {0x7F, 0x9F}, {0x061C, 0x061C}, {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}} {
		if c >= r[0] && c <= r[1] {
			return true
		}
	}
	return false
}
