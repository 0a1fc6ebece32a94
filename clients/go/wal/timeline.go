package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// BranchPoint finds in a timeline's history file where the history left a
// timeline that it went through.
func BranchPoint(history string, timeline uint32) (LSN, bool, error) {
	for line := range strings.Lines(history) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		id, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil {
			return 0, false, fmt.Errorf("cdc: timeline history: %w", err)
		}
		if uint32(id) == timeline {
			at, err := ParseLSN(fields[1])
			return at, true, err
		}
	}
	return 0, false, nil
}
