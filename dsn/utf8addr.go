package dsn

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encodeUTF8 writes what is not ASCII as \x{E9}, for reports that must be ASCII (RFC 6533 section 3, utf-8-addr-xtext).
func encodeUTF8(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\x{5C}`)
		case r < utf8.RuneSelf:
			b.WriteByte(byte(r))
		default:
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	return b.String()
}

// decodeUTF8 undoes encodeUTF8.
func decodeUTF8(s string) (string, error) {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, `\x{`)
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		hex, rest, ok := strings.Cut(after, "}")
		r, err := strconv.ParseUint(hex, 16, 32)
		if !ok || err != nil || !utf8.ValidRune(rune(r)) || r == 0 {
			return "", fmt.Errorf("bad character %q in utf-8 address", `\x{`+hex)
		}
		b.WriteRune(rune(r))
		s = rest
	}
}
