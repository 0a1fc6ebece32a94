package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kinds of settings: each makes a function that reads one.

func text(at func(*Config) *string) func(*Config, string) error {
	return func(c *Config, text string) error { *at(c) = text; return nil }
}

func list(at func(*Config) *[]string) func(*Config, string) error {
	return func(c *Config, text string) error {
		*at(c) = nil
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*at(c) = append(*at(c), part)
			}
		}
		return nil
	}
}

func flag(at func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, text string) error {
		if text != "true" && text != "false" {
			return fmt.Errorf("it is true or false, not %q", text)
		}
		*at(c) = text == "true"
		return nil
	}
}

func oneOf(at func(*Config) *string, words ...string) func(*Config, string) error {
	return func(c *Config, text string) error {
		if !slices.Contains(words, text) {
			return fmt.Errorf("it is one of %s, not %q", strings.Join(words, ", "), text)
		}
		*at(c) = text
		return nil
	}
}

func number(at func(*Config) *int, low, high int) func(*Config, string) error {
	return func(c *Config, text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return fmt.Errorf("it is a number from %d to %d, not %q", low, high, text)
		}
		*at(c) = n
		return nil
	}
}

func duration(at func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return fmt.Errorf("it is a duration such as 50ms, 30s, 3m or 24h, not %q", text)
		}
		*at(c) = d
		return nil
	}
}

// units of sizes, the longer names first.
var units = []struct {
	name  string
	bytes int
}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}, {"", 1}}

func size(at func(*Config) *int) func(*Config, string) error {
	return func(c *Config, text string) error {
		for _, unit := range units {
			digits, found := strings.CutSuffix(text, unit.name)
			if !found {
				continue
			}
			n, err := strconv.Atoi(strings.TrimSpace(digits))
			if err != nil || n < 0 || n > 1<<40/unit.bytes {
				break
			}
			*at(c) = n * unit.bytes
			return nil
		}
		return fmt.Errorf("it is a size such as 500kB or 64MB, not %q", text)
	}
}
