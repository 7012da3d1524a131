package maildir

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// utf7 is base64 with a comma for the slash and no padding (RFC 3501 section 5.1.3). Strict: spare bits must be 0.
var utf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

// ErrUTF7 is the reason why a name is not modified UTF-7.
var ErrUTF7 = errors.New("not modified UTF-7")

// EncodeUTF7 encodes a folder name in the modified UTF-7 of RFC 3501 section 5.1.3: printable ASCII as it is, "&" as
// "&-", the rest as UTF-16 in base64 between "&" and "-". s must be UTF-8.
func EncodeUTF7(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("%w: name is not UTF-8", ErrFolderName)
	}
	var b strings.Builder
	for len(s) > 0 {
		n := 0
		for n < len(s) && printable(s[n]) {
			n++
		}
		b.WriteString(strings.ReplaceAll(s[:n], "&", "&-"))
		s = s[n:]
		n = 0
		for n < len(s) && !printable(s[n]) {
			n++
		}
		if n == 0 {
			continue
		}
		var raw []byte
		for _, u := range utf16.Encode([]rune(s[:n])) {
			raw = append(raw, byte(u>>8), byte(u))
		}
		b.WriteString("&" + utf7.EncodeToString(raw) + "-")
		s = s[n:]
	}
	return b.String(), nil
}

func printable(c byte) bool { return ' ' <= c && c <= '~' }

// DecodeUTF7 is the inverse of EncodeUTF7. Names that EncodeUTF7 would write differently are refused: a missing "-",
// stray bits, coded ASCII, adjacent coded runs, 8-bit and control bytes, lone surrogates.
func DecodeUTF7(s string) (string, error) {
	var b strings.Builder
	for coded := false; len(s) > 0; {
		c := s[0]
		if !printable(c) {
			return "", fmt.Errorf("%w: byte %#x", ErrUTF7, c)
		}
		if c != '&' {
			b.WriteByte(c)
			s, coded = s[1:], false
			continue
		}
		run, rest, ok := strings.Cut(s[1:], "-")
		if !ok {
			return "", fmt.Errorf(`%w: no "-" after %q`, ErrUTF7, s)
		}
		s = rest
		if run == "" {
			b.WriteByte('&')
			coded = false
			continue
		}
		if coded {
			return "", fmt.Errorf("%w: adjacent coded runs", ErrUTF7)
		}
		coded = true
		text, err := decodeRun(run)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

func decodeRun(run string) (string, error) {
	raw, err := utf7.DecodeString(run)
	if err != nil || strings.ContainsAny(run, "\r\n") || // which the decoder skips
		len(raw)%2 != 0 || len(raw) == 0 {
		return "", fmt.Errorf("%w: bad base64 in %q", ErrUTF7, run)
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	var b strings.Builder
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			if i+1 == len(units) {
				return "", fmt.Errorf("%w: lone surrogate", ErrUTF7)
			}
			if r = utf16.DecodeRune(r, rune(units[i+1])); r == utf8.RuneError {
				return "", fmt.Errorf("%w: lone surrogate", ErrUTF7)
			}
			i++
		}
		if r < 0x80 && printable(byte(r)) {
			return "", fmt.Errorf("%w: %q is coded without need", ErrUTF7, r)
		}
		b.WriteRune(r)
	}
	return b.String(), nil
}
