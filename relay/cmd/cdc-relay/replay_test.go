package main

import (
	"testing"

	"github.com/pgcdc/cdc/relay/bus"
	"github.com/pgcdc/cdc/relay/load"
)

// What cannot be sent again is listed nevertheless, and says why.
func TestLetterOf(t *testing.T) {
	headers := []bus.Header{{Name: bus.Position, Value: "0/1/0/1/0"}, {Name: bus.Op, Value: "UPDATE"}, {Name: bus.Relation, Value: "public.t"}, {Name: bus.Reason, Value: "too_large"}}
	asJSON := append(headers[:4:4], bus.Header{Name: bus.ContentType, Value: "application/json"})
	for _, c := range []struct {
		message    bus.Message
		line, what string
	}{
		{bus.Message{Headers: headers}, "0/1/0/1/0 UPDATE public.t too_large -", "not sent: it has no key"},
		{bus.Message{Headers: asJSON, Value: []byte(`{"key":{"id":1},"new_key":{"id":2},"new":{"v":3}}`)},
			`0/1/0/1/0 UPDATE public.t too_large {"key":{"id":1},"new_key":{"id":2}}`, "not sent: a key cannot be taken from the JSON form exactly: cdc-relay load public.t has all rows of the table come again"},
		{bus.Message{Headers: headers, Value: []byte{}}, "0/1/0/1/0 UPDATE public.t too_large -", "not sent: it has no key"},
	} {
		letter := letterOf(&c.message)
		if what, ok := outcome(letter, nil); letter.String() != c.line || what != c.what || ok {
			t.Errorf("%v: %s, not %s: %s", letter, what, c.line, c.what)
		}
	}
	damaged := letterOf(&bus.Message{Headers: headers, Value: []byte{0xFF}})
	if _, ok := outcome(damaged, nil); ok || damaged.why == "" {
		t.Errorf("%+v", damaged)
	}
	for want, r := range map[string]load.Replayed{"sent": {Sent: 1}, "said to be gone": {Gone: 1}, "sent, said to be gone": {Sent: 1, Gone: 1}} {
		if what, ok := outcome(&deadLetter{value: []byte{1}}, &r); what != want || !ok {
			t.Errorf("%s, not %s", what, want)
		}
	}
}
