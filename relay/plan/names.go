// Package plan says what becomes of an event on a bus: topics, keys, partitions, headers
// and values. It knows no broker.
package plan

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// MaxName is how long the name of a topic may be, as Kafka has it.
const MaxName = 249

// escape writes a name with letters, digits and underscores alone: every other byte is a
// hyphen and two hexadecimal digits. Different names stay different.
func escape(dst []byte, name string) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '-', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// Base is the name of a table's topic without a version.
func Base(prefix, schema, table string) string {
	name := escape(append([]byte(prefix), '.'), schema)
	return shorten(string(escape(append(name, '.'), table)))
}

// Versioned is the name of the topic of a version; 0: the table is not registered.
func Versioned(base string, major uint32) string { return topicOf(of(base), major) }

// shorten has names end in two hyphens and a hash where they are too long. Room for a version is
// kept; no escaped name has two hyphens.
func shorten(name string) string {
	const hash, version = 2 + 16, 12
	if len(name) <= MaxName-version {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("%s--%x", strings.TrimRight(name[:MaxName-version-hash], "-"), sum[:8])
}

// Names of topics that are of no table: with a prefix before, they have less parts than
// those of tables.
func DeadTopic(prefix string) string    { return prefix + ".dead" }
func MessageTopic(prefix string) string { return prefix + ".messages" }

// CheckPrefix tells whether topics can begin so.
func CheckPrefix(prefix string) error {
	for _, part := range strings.Split(prefix, ".") {
		bad := strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != ""
		if part == "" || bad {
			return fmt.Errorf("%q cannot begin names of topics: letters, digits, _ and - can, in parts that are separated by dots", prefix)
		}
	}
	if len(prefix) > 64 {
		return fmt.Errorf("%q is too long: 64 characters are allowed", prefix)
	}
	return nil
}

// headerText makes a text fit for the header of any bus: bytes that would end it, and the
// percent sign, are written as %XX.
func headerText(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7F || r == '%' }) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == 0x7F || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
