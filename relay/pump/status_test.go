package pump

import (
	"fmt"
	"testing"
)

// Who looks later sees why sessions have ended: the last ones, the newest first.
func TestFailuresAreKept(t *testing.T) {
	p := &Pump{}
	p.Measure(NewMetrics("s"))
	for i := range maxFailures + 2 {
		p.is("waiting", fmt.Errorf("failure %d", i))
	}
	p.is("running", nil)
	s := p.Status()
	if s.Error != "" || len(s.Failures) != maxFailures || s.Failures[0].Error != "failure 6" || s.Failures[maxFailures-1].Error != "failure 2" {
		t.Errorf("%+v", s)
	}
}
