package pgtext

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestFloats(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "-0": math.Copysign(0, -1), "1": 1, "0.1": 0.1, "0.0001": 0.0001, "1e-05": 0.00001,
		"123456789012345": 123456789012345, "1e+15": 1e15, "-1.5e+300": -1.5e300, "5e-324": 5e-324,
		"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1), "999999": 999999,
	} {
		if got := string(AppendFloat(nil, v, 64)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for want, v := range map[string]float32{
		"100000": 1e5, "1e+06": 1e6, "0.1": 0.1, "1e-45": 1e-45, "3.4028235e+38": math.MaxFloat32,
	} {
		if got := string(AppendFloat(nil, float64(v), 32)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Where the shortest digits lie half way to the next float, PostgreSQL takes more.
func TestFloatsHalfWay(t *testing.T) {
	for want, v := range map[string]float64{
		"1.9337381320068968e+16": 1.9337381320068968e16, "9.999999999999999e+22": 1e23,
		"9.5367431640625e-07": 1.0 / (1 << 20), "9.007199254740992e+15": 1 << 53,
		"1.8014398509481984e+16": 1 << 54,
	} {
		got := string(AppendFloat(nil, v, 64))
		if back, err := strconv.ParseFloat(got, 64); got != want || back != v || err != nil {
			t.Errorf("%s, want %s", got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		v := math.Float64frombits(r.Uint64())
		if r.IntN(2) == 0 {
			v = float64(r.Uint64() >> r.IntN(40))
		}
		if !IsFinite(v) {
			continue
		}
		if back, err := strconv.ParseFloat(string(AppendFloat(nil, v, 64)), 64); back != v || err != nil {
			t.Fatalf("%v gives %s", v, AppendFloat(nil, v, 64))
		}
		f := float32(v)
		if back, err := strconv.ParseFloat(string(AppendFloat(nil, float64(f), 32)), 32); IsFinite(float64(f)) && (float32(back) != f || err != nil) {
			t.Fatalf("%v gives %s", f, AppendFloat(nil, float64(f), 32))
		}
	}
}

func TestCompactJSON(t *testing.T) {
	for in, want := range map[string]string{
		` { "a b" : [ 1 , -2.5e+3 , true , null , { } , [ ] ] } `: `{"a b":[1,-2.5e+3,true,null,{},[]]}`,
		`"\u00e9 \\ \""`: `"\u00e9 \\ \""`, `0`: `0`, `-0.0`: `-0.0`,
	} {
		if got, ok := AppendCompact(nil, []byte(in)); !ok || string(got) != want {
			t.Errorf("%s gives %s", in, got)
		}
	}
	for _, in := range []string{``, ` `, `{`, `}`, `[1,]`, `[,1]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{1:2}`, `01`, `1.`, `.5`,
		`1e`, `-`, `tru`, `"a`, `"\x"`, `"\u12g4"`, "\"\n\"", `1 2`, `[1 2]`, `{"a":1 "b":2}`, `[}`, `{]`} {
		if got, ok := AppendCompact(nil, []byte(in)); ok {
			t.Errorf("%q is taken for JSON: %s", in, got)
		}
	}
}

func TestDates(t *testing.T) {
	for want, days := range map[string]int64{
		"2000-01-01": 0, "1970-01-01": -10957, "2024-02-29": 8825, "0001-01-01": -730119,
		"4714-11-24": -julianEpoch, "5874898-06-03": math.MaxInt32 - julianEpoch,
	} {
		got, bc, ok := AppendDate(nil, days)
		if string(got) != want || !ok || bc != (days == -julianEpoch) {
			t.Errorf("%d: %s %v %v, want %s", days, got, bc, ok, want)
		}
	}
	if got, _, _ := AppendDate(nil, -730120); string(got) != "0001-12-31" {
		t.Errorf("the day before 0001-01-01 is %s", got)
	}
}
