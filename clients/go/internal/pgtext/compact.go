package pgtext

// AppendCompact appends JSON without the whitespace that is outside of its
// strings; false if it is no JSON. It does not recurse: nesting takes a byte a
// level.
func AppendCompact(dst, s []byte) ([]byte, bool) {
	type state uint8
	const (
		value      state = iota // a value must follow
		firstValue              // a value or ]
		key                     // a key
		firstKey                // a key or }
		after                   // a value has ended
	)
	var room [32]byte
	nesting, expect := room[:0], value
	for i := skipSpace(s, 0); i < len(s); i = skipSpace(s, i) {
		var top byte
		if len(nesting) > 0 {
			top = nesting[len(nesting)-1]
		}
		c, start := s[i], i
		switch {
		case expect == after && c == ',' && top != 0:
			i++
			if expect = value; top == '{' {
				expect = key
			}
		case (expect == after || expect == firstKey) && c == '}' && top == '{',
			(expect == after || expect == firstValue) && c == ']' && top == '[':
			i++
			nesting = nesting[:len(nesting)-1]
			expect = after
		case expect == after:
			return dst, false
		case expect == key || expect == firstKey:
			if c != '"' {
				return dst, false
			}
			if i = scanString(s, i); i < 0 {
				return dst, false
			}
			dst = append(dst, s[start:i]...)
			i = skipSpace(s, i)
			if i == len(s) || s[i] != ':' {
				return dst, false
			}
			start = i
			i++
			expect = value
		case c == '{' || c == '[':
			nesting = append(nesting, c)
			if expect = firstValue; c == '{' {
				expect = firstKey
			}
			i++
		default:
			if i = scanScalar(s, i); i < 0 {
				return dst, false
			}
			expect = after
		}
		dst = append(dst, s[start:i]...)
	}
	return dst, expect == after && len(nesting) == 0
}

func skipSpace(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// The functions below give the place behind what stands at i, or -1.

func scanScalar(s []byte, i int) int {
	if s[i] == '"' {
		return scanString(s, i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if len(s)-i >= len(word) && string(s[i:i+len(word)]) == word {
			return i + len(word)
		}
	}
	return scanNumber(s, i)
}

func scanString(s []byte, i int) int {
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c < 0x20:
			return -1
		case c == '\\':
			if i++; i == len(s) {
				return -1
			}
			switch s[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(s)-i < 5 {
					return -1
				}
				for n := 0; n < 4; n++ {
					if i++; !isHex(s[i]) {
						return -1
					}
				}
			default:
				return -1
			}
		}
	}
	return -1
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func scanNumber(s []byte, i int) int {
	if s[i] == '-' {
		i++
	}
	n := digits(s[i:])
	if n == 0 || (s[i] == '0' && n > 1) {
		return -1
	}
	i += n
	if i < len(s) && s[i] == '.' {
		if n = digits(s[i+1:]); n == 0 {
			return -1
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if n = digits(s[i:]); n == 0 {
			return -1
		}
		i += n
	}
	return i
}
