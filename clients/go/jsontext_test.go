package cdc

import (
	"math"
	"testing"
)

func TestFloats(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "-0": math.Copysign(0, -1), "1": 1, "0.1": 0.1, "0.0001": 0.0001, "1e-05": 0.00001,
		"123456789012345": 123456789012345, "1e+15": 1e15, "-1.5e+300": -1.5e300, "5e-324": 5e-324,
		"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1), "999999": 999999,
	} {
		if got := string(appendFloat(nil, v, 64)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for want, v := range map[string]float32{
		"100000": 1e5, "1e+06": 1e6, "0.1": 0.1, "1e-45": 1e-45, "3.4028235e+38": math.MaxFloat32,
	} {
		if got := string(appendFloat(nil, float64(v), 32)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestCompactJSON(t *testing.T) {
	for in, want := range map[string]string{
		` { "a b" : [ 1 , -2.5e+3 , true , null , { } , [ ] ] } `: `{"a b":[1,-2.5e+3,true,null,{},[]]}`,
		`"\u00e9 \\ \""`: `"\u00e9 \\ \""`, `0`: `0`, `-0.0`: `-0.0`,
	} {
		if got, ok := appendCompact(nil, []byte(in)); !ok || string(got) != want {
			t.Errorf("%s gives %s", in, got)
		}
	}
	for _, in := range []string{``, ` `, `{`, `}`, `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{1:2}`, `01`, `1.`, `.5`,
		`1e`, `-`, `tru`, `"a`, `"\x"`, `"\u12g4"`, "\"\n\"", `1 2`, `[1 2]`, `{"a":1 "b":2}`, `[}`, `{]`} {
		if got, ok := appendCompact(nil, []byte(in)); ok {
			t.Errorf("%q is taken for JSON: %s", in, got)
		}
	}
}

func TestDates(t *testing.T) {
	for want, days := range map[string]int64{
		"2000-01-01": 0, "1970-01-01": -10957, "2024-02-29": 8825, "0001-01-01": -730119,
		"4714-11-24": -julianEpoch, "5874898-06-03": math.MaxInt32 - julianEpoch,
	} {
		got, bc, ok := appendDate(nil, days)
		if string(got) != want || !ok || bc != (days == -julianEpoch) {
			t.Errorf("%d: %s %v %v, want %s", days, got, bc, ok, want)
		}
	}
	if got, _, _ := appendDate(nil, -730120); string(got) != "0001-12-31" {
		t.Errorf("the day before 0001-01-01 is %s", got)
	}
}
