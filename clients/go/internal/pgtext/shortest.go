package pgtext

import (
	"math"
	"math/bits"
	"strconv"
)

// appendShortest appends v as PostgreSQL chooses its digits: the fewest that are
// nearer to v than to any other float. Where the fewest that read back to v lie
// exactly half way to the next float (they do read back, as ties go to the even
// one), PostgreSQL takes more, and strconv does not. The format is 'e'.
func appendShortest(dst []byte, v float64, size int) []byte {
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, size)
	m, e := mantissa(v, size)
	if m%2 != 0 || m == 0 {
		return dst
	}
	for precision := 0; precision < 17; precision++ {
		digits, exponent, n := decimal(dst[start:])
		if !halfWay(digits, exponent, m, e, size) {
			break
		}
		if precision < n {
			precision = n
		}
		dst = strconv.AppendFloat(dst[:start], v, 'e', precision, size)
	}
	return trimZeros(dst, start)
}

// mantissa gives v as m * 2^e.
func mantissa(v float64, size int) (m uint64, e int) {
	width, bias, all := 52, 1075, math.Float64bits(v)
	if size == 32 {
		width, bias, all = 23, 150, uint64(math.Float32bits(float32(v)))
	}
	m = all & (1<<width - 1)
	e = int(all>>width) & (1<<(size-1-width) - 1)
	if e == 0 {
		e = 1
	} else {
		m |= 1 << width
	}
	return m, e - bias
}

// decimal reads what strconv writes: n digits, the number being digits *
// 10^exponent.
func decimal(s []byte) (digits uint64, exponent, n int) {
	i, fraction := 0, 0
	point := false
	for ; s[i] != 'e'; i++ {
		switch {
		case s[i] == '.':
			point = true
		case s[i] != '-':
			digits = digits*10 + uint64(s[i]-'0')
			n++
			if point {
				fraction++
			}
		}
	}
	negative := s[i+1] == '-'
	for _, c := range s[i+2:] {
		exponent = exponent*10 + int(c-'0')
	}
	if negative {
		exponent = -exponent
	}
	return digits, exponent - fraction, n
}

var powersOf5 = func() (p [28]uint64) {
	p[0] = 1
	for i := range p[1:] {
		p[i+1] = 5 * p[i]
	}
	return p
}()

// halfWay tells whether digits * 10^exponent is the middle between m * 2^e and a
// neighbour. The middle is an odd number times a power of 2.
func halfWay(digits uint64, exponent int, m uint64, e, size int) bool {
	odd, twos, ok := oddPart(digits, exponent)
	if !ok {
		return false
	}
	width := 52
	if size == 32 {
		width = 23
	}
	if odd == 2*m+1 && twos == e-1 {
		return true
	}
	if m == 1<<width { // the neighbour below is nearer
		return odd == 4*m-1 && twos == e-2
	}
	return odd == 2*m-1 && twos == e-1
}

// oddPart gives digits * 10^exponent as odd * 2^twos, if odd is a whole number of
// 64 bits.
func oddPart(digits uint64, exponent int) (odd uint64, twos int, ok bool) {
	if digits == 0 || exponent >= len(powersOf5) || -exponent >= len(powersOf5) {
		return 0, 0, false
	}
	twos = bits.TrailingZeros64(digits)
	odd = digits >> twos
	if exponent < 0 {
		if odd%powersOf5[-exponent] != 0 {
			return 0, 0, false
		}
		return odd / powersOf5[-exponent], twos + exponent, true
	}
	high, low := bits.Mul64(odd, powersOf5[exponent])
	return low, twos + exponent, high == 0
}

// trimZeros takes zeros off the end of the fraction.
func trimZeros(dst []byte, start int) []byte {
	e := start
	for dst[e] != 'e' {
		e++
	}
	end := e
	for dst[end-1] == '0' && end-start > 2 {
		end--
	}
	if dst[end-1] == '.' {
		end--
	}
	if end == e || !hasPoint(dst[start:e]) {
		return dst
	}
	return append(dst[:end], dst[e:]...)
}

func hasPoint(s []byte) bool {
	for _, c := range s {
		if c == '.' {
			return true
		}
	}
	return false
}
