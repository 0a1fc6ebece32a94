// Package pgtext writes numbers, dates and JSON with the characters that PostgreSQL writes.
package pgtext

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// Valid: UTF-8 without a zero byte, which PostgreSQL does not have in text.
func Valid(s []byte) bool { return bytes.IndexByte(s, 0) < 0 && utf8.Valid(s) }

const lowerHex = "0123456789abcdef"

// jsonEscapes has the letter of control characters that have a short form.
var jsonEscapes = [256]byte{
	'\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't', '"': '"', '\\': '\\',
}

// AppendJSONString appends text that is known to be UTF-8.
func AppendJSONString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if letter := jsonEscapes[c]; letter != 0 {
			dst = append(dst, '\\', letter)
		} else {
			dst = append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// AppendHex appends two digits for each byte.
func AppendHex(dst, data []byte) []byte {
	for _, b := range data {
		dst = append(dst, lowerHex[b>>4], lowerHex[b&15])
	}
	return dst
}

// AppendUUID appends the usual form of 16 bytes.
func AppendUUID(dst, u []byte) []byte {
	for i, b := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, lowerHex[b>>4], lowerHex[b&15])
	}
	return dst
}

// AppendFloat appends the fewest digits that read back, as PostgreSQL does:
// with an exponent below 1e-4 and from 10^digits up. bits is 32 or 64. Those
// that JSON does not have are NaN, Infinity and -Infinity.
func AppendFloat(dst []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	}
	limit := 15
	if bits == 32 {
		limit = 6
	}
	start := len(dst)
	dst = appendShortest(dst, v, bits)
	digits, exponent, n := decimal(dst[start:])
	if first := exponent + n - 1; first < -4 || first >= limit {
		return dst
	}
	negative := dst[start] == '-'
	if dst = dst[:start]; negative {
		dst = append(dst, '-')
	}
	return appendPlain(dst, digits, exponent)
}

// appendPlain appends digits * 10^exponent without an exponent.
func appendPlain(dst []byte, digits uint64, exponent int) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, digits, 10)
	for ; exponent > 0; exponent-- {
		dst = append(dst, '0')
	}
	if exponent == 0 {
		return dst
	}
	for len(dst)-start <= -exponent { // zeros in front
		dst = append(dst, 0)
		copy(dst[start+1:], dst[start:])
		dst[start] = '0'
	}
	point := len(dst) + exponent
	dst = append(dst, 0)
	copy(dst[point+1:], dst[point:])
	dst[point] = '.'
	return dst
}

// IsFinite tells whether JSON has the number.
func IsFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// IsDecimal: digits, with a sign and a fraction perhaps; no exponent.
func IsDecimal(s []byte) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	n := digits(s)
	if n == 0 || (s[0] == '0' && n > 1) {
		return false
	}
	if s = s[n:]; len(s) == 0 {
		return true
	}
	n = digits(s[1:])
	return s[0] == '.' && n > 0 && n == len(s)-1
}

func digits(s []byte) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
