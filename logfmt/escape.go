package logfmt

// appendEscaped appends s with everything that is not printable ASCII made so: backslash doubled, TAB, LF and CR as
// \t, \n and \r, other bytes as three octal digits. sendmail: str2prt.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '\\':
			dst = append(dst, '\\', '\\')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		}
	}
	return append(dst, s[start:]...)
}

// Escape returns s as the text of a log line shows it.
func Escape(s string) string { return string(appendEscaped(nil, s)) }

// Unescape undoes Escape. A backslash that begins no escape stays as it is.
func Unescape(s string) string {
	i := 0
	for i < len(s) && s[i] != '\\' {
		i++
	}
	if i == len(s) {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		switch c := s[i+1]; {
		case c == '\\':
			out = append(out, '\\')
		case c == 't':
			out = append(out, '\t')
		case c == 'n':
			out = append(out, '\n')
		case c == 'r':
			out = append(out, '\r')
		case i+3 < len(s) && c >= '0' && c <= '3' && octal(s[i+2]) && octal(s[i+3]):
			out = append(out, c<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 2
		default:
			out = append(out, '\\')
			continue
		}
		i++
	}
	return string(out)
}

func octal(c byte) bool { return c >= '0' && c <= '7' }

func cut(s string, n int) string { return s[:min(len(s), n)] }
