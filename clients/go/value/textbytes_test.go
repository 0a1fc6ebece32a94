package value

import (
	"testing"
)

func TestTextBytes(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "aé€😀": "aé€😀", "x\U0010FEE9y": "x\xe9y", "\U0010FE00\U0010FEFF": "\x00\xff", "\U0010FDFF\U0010FF00": "\U0010FDFF\U0010FF00",
	} {
		if got := string(TextBytes(in)); got != want {
			t.Errorf("%q gives %q", in, got)
		}
	}
}
