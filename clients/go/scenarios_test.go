package cdc_test

import (
	"os"
	"strings"
	"testing"
)

// scenarios of test/clients/scenarios, which every client runs. Each file of tests adds
// its own.
var scenarios = map[string]func(*testing.T){}

// later has what this client cannot do yet, and why.
var later = map[string]string{}

func addScenarios(list map[string]func(*testing.T)) bool {
	for name, f := range list {
		scenarios[name] = f
	}
	return true
}

func TestScenarios(t *testing.T) {
	data, err := os.ReadFile("../../test/clients/scenarios")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 {
			t.Errorf("no scenario: %s", line)
			continue
		}
		name := parts[0]
		known[name] = true
		t.Run(name, func(t *testing.T) {
			if f := scenarios[name]; f != nil {
				f(t)
			} else if why := later[name]; why != "" {
				t.Skip(why)
			} else {
				t.Fatal("there is no test for: ", parts[1], " -> ", parts[2])
			}
		})
	}
	for name := range scenarios {
		if !known[name] {
			t.Errorf("%s is no scenario of test/clients/scenarios", name)
		}
	}
}
