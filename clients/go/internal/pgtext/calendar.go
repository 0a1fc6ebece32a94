package pgtext

import (
	"math"
	"strconv"
)

const (
	SecondUS = 1_000_000
	DayUS    = 86400 * SecondUS
	// From 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
	EpochDays = 10957
	EpochUS   = EpochDays * DayUS
	// Days from 4714-11-24 BC to 2000-01-01: where PostgreSQL's calendar begins.
	julianEpoch = 2451545
)

// civil gives the date of a number of days since 2000-01-01 in the proleptic
// Gregorian calendar. Year 0 is 1 BC.
func civil(days int64) (year int64, month, day int) {
	days += 730425 // since 0000-03-01
	era := FloorDiv(days, 146097)
	ofEra := days - era*146097
	year = (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := int(ofEra - (365*year + year/4 - year/100))
	m := (5*ofYear + 2) / 153
	day = ofYear - (153*m+2)/5 + 1
	if month = m + 3; m >= 10 {
		month = m - 9
		year++
	}
	return year + era*400, month, day
}

// FloorDiv is a / b, towards the lower number.
func FloorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// AppendDate appends yyyy-mm-dd; bc tells whether it is before Christ, and ok
// whether it is within what PostgreSQL can have.
func AppendDate(dst []byte, days int64) (out []byte, bc, ok bool) {
	if days < -julianEpoch || days > math.MaxInt32-julianEpoch {
		return dst, false, false
	}
	year, month, day := civil(days)
	if year <= 0 {
		bc, year = true, 1-year
	}
	dst = appendPadded(dst, year, 4)
	dst = appendPadded(append(dst, '-'), int64(month), 2)
	return appendPadded(append(dst, '-'), int64(day), 2), bc, true
}

func appendPadded(dst []byte, v int64, width int) []byte {
	for limit := int64(10); width > 1; width-- {
		if v < limit {
			for ; width > 1; width-- {
				dst = append(dst, '0')
			}
			break
		}
		limit *= 10
	}
	return strconv.AppendInt(dst, v, 10)
}

// AppendClock appends hh:mm:ss.ffffff of microseconds since midnight, without
// zeros at the end of the fraction.
func AppendClock(dst []byte, us int64) []byte {
	dst = appendPadded(dst, us/(3600*SecondUS), 2)
	dst = appendPadded(append(dst, ':'), us/(60*SecondUS)%60, 2)
	dst = appendPadded(append(dst, ':'), us/SecondUS%60, 2)
	fraction := us % SecondUS
	if fraction == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), fraction, 6)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// AppendTimestamp appends microseconds since 2000-01-01 as ISO 8601, zone before
// " BC", or infinity, -infinity.
func AppendTimestamp(dst []byte, us int64, zone string) ([]byte, bool) {
	if text := Infinity(us, math.MinInt64, math.MaxInt64); text != "" {
		return append(dst, text...), true
	}
	days := FloorDiv(us, DayUS)
	dst, bc, ok := AppendDate(dst, days)
	if !ok {
		return dst, false
	}
	dst = AppendClock(append(dst, 'T'), us-days*DayUS)
	dst = append(dst, zone...)
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst, true
}

// Infinity is the text of v if it stands for one.
func Infinity(v, lowest, highest int64) string {
	switch v {
	case lowest:
		return "-infinity"
	case highest:
		return "infinity"
	}
	return ""
}

// AppendZone appends +hh:mm, with seconds if there are some.
func AppendZone(dst []byte, east int64) []byte {
	sign := byte('+')
	if east < 0 {
		sign, east = '-', -east
	}
	dst = appendPadded(append(dst, sign), east/3600, 2)
	dst = appendPadded(append(dst, ':'), east/60%60, 2)
	if east%60 != 0 {
		dst = appendPadded(append(dst, ':'), east%60, 2)
	}
	return dst
}
