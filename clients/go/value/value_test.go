package value

import (
	"math"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	if at, ok := Timestamp(0).Time(); !ok || !at.Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Error(at, ok)
	}
	if at, ok := Timestamp(-1).Time(); !ok || at.Format(time.RFC3339Nano) != "1999-12-31T23:59:59.999999Z" {
		t.Error(at, ok)
	}
	if at, ok := Timestamp(math.MaxInt64 - 1).Time(); !ok || at.Year() != 294277 {
		t.Error(at, ok) // beyond what PostgreSQL has, and what Unix microseconds hold
	}
	for _, v := range []Timestamp{math.MaxInt64, math.MinInt64} {
		if _, ok := v.Time(); ok {
			t.Error(v, "is a time")
		}
	}
	if at, ok := Date(-10957).Time(); !ok || at.Unix() != 0 {
		t.Error(at, ok)
	}
	if r, ok := Numeric("-12345678901234567890.50").Rat(); !ok || r.FloatString(2) != "-12345678901234567890.50" {
		t.Error(r, ok)
	}
	if _, ok := Numeric("NaN").Rat(); ok {
		t.Error("NaN is a number")
	}
	if d, ok := (Interval{0, 0, 1500}).Duration(); !ok || d != 1500*time.Microsecond {
		t.Error(d, ok)
	}
	if _, ok := (Interval{1, 0, 0}).Duration(); ok {
		t.Error("a month has a duration")
	}
}
