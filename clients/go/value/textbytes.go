package value

import "unicode/utf8"

// The characters that stand for bytes that are no text: U+10FE00 plus the byte.
const noText = 0x10FE00

// TextBytes gives the bytes that a text has in the server. Those that are no text
// (the server may hold such bytes, from times when they were not checked) stand in
// the stream as characters from U+10FE00 to U+10FEFF, one for each. All other text
// is given as it is.
func TextBytes(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r >= noText && r <= noText+0xFF {
			out = append(out, byte(r-noText))
		} else {
			out = append(out, s[i:i+size]...)
		}
		i += size
	}
	return out
}
