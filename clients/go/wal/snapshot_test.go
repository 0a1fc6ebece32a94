package wal

import (
	"reflect"
	"testing"
)

func TestParseSnapshot(t *testing.T) {
	for text, want := range map[string]*Snapshot{
		"10:10:": {XMin: 10, XMax: 10},
		"4294967300:4294967310:4294967300,4294967305": {XMin: 1<<32 + 4, XMax: 1<<32 + 14, XIP: []uint64{1<<32 + 4, 1<<32 + 9}},
		"":         nil,
		"10:20":    nil,
		"10:x:":    nil,
		"10:20:1,": nil,
		"1:2:3:4":  nil,
	} {
		got, err := ParseSnapshot(text)
		if (err == nil) != (want != nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
