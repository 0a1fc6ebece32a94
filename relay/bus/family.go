package bus

import (
	"strconv"
	"strings"
)

// Family is all topics of a table: Bare, if that is not empty, and those with vN between Before and After, where N is a
// number.
type Family struct{ Bare, Before, After string }

// Has tells whether a topic is one of them.
func (f Family) Has(topic string) bool {
	if f.Bare != "" && topic == f.Bare {
		return true
	}
	rest, found := strings.CutPrefix(topic, f.Before+"v")
	version, found2 := strings.CutSuffix(rest, f.After)
	_, err := strconv.ParseUint(version, 10, 32)
	return found && found2 && err == nil
}
