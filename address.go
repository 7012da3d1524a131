package mtakit

import "strings"

// Address is a mail address in decoded form: Local without quotes and backslashes, Domain without trailing dot. It
// is comparable and may be a map key. The zero value is the null reverse-path <>. An empty Domain means a local name.
type Address struct{ Local, Domain string }

// IsNull reports whether a is the null reverse-path.
func (a Address) IsNull() bool { return a == Address{} }

// String prints local@domain, or just the local part when there is no domain, quoting the local part where RFC
// 5321 section 4.1.2 demands it. The null reverse-path prints as "".
func (a Address) String() string {
	if a.Domain == "" {
		return quoteLocal(a.Local)
	}
	return quoteLocal(a.Local) + "@" + a.Domain
}

// Path prints a in angle brackets, as MAIL and RCPT carry it.
func (a Address) Path() string { return "<" + a.String() + ">" }

func quoteLocal(s string) string {
	if isDotString(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// isDotString reports whether s can stand as a local part without quotes. UTF-8 is allowed (RFC 6531 section 3.3).
func isDotString(s string) bool {
	dot := true // at the start, and after a dot, no dot may stand
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.':
			if dot {
				return false
			}
			dot = true
			continue
		case c <= ' ' || c == 0x7f || strings.IndexByte(`()<>[]:;@\,"`, c) >= 0:
			return false
		}
		dot = false
	}
	return !dot || s == ""
}
