package mtakit

import (
	"strconv"
	"strings"
)

// String prints the address.
func (d Mailbox) String() string { return d.Addr.String() }

// String prints \name or \name@domain, in quotes when the name needs them.
func (d User) String() string {
	if isDotString(d.Addr.Local) && !strings.HasPrefix(d.Addr.Local, "!") { // \! is read as !
		return `\` + d.Addr.String()
	}
	s := `"\` + quoteText(d.Addr.Local)[1:]
	if d.Addr.Domain != "" {
		s += "@" + d.Addr.Domain
	}
	return s
}

// String prints the path, in quotes when it needs them.
func (d File) String() string { return quoteUnlessPlain(d.Path) }

// String prints "|command" in quotes.
func (d Pipe) String() string { return quoteText("|" + d.Command) }

// String prints :include:path, in quotes when the path needs them.
func (d Include) String() string {
	s := includePrefix + d.Path
	if strings.Trim(d.Path, ".") == d.Path && isPlainPath(d.Path) {
		return s
	}
	return quoteText(s)
}

// String prints error:D.S.N:code text.
func (d Fail) String() string {
	status := d.Status
	if status == 0 {
		status = d.Err().EnhancedStatus()
	}
	s := "error:" + status.String() + ":"
	if d.Code != 0 {
		s += strconv.Itoa(d.Code) + " "
	}
	return s + d.Text
}

// Err returns the verdict as an error. Code and status default as in the standard configuration: 553 and the
// status of the class.
func (d Fail) Err() *Error {
	return &Error{Code: d.Code, Status: d.Status, Text: d.Text, Exit: d.Exit}
}

// parseFail reads error:D.S.N:text. The text may begin with a reply code.
func parseFail(text string) (f Fail, ok bool) {
	if len(text) < 6 || !strings.EqualFold(text[:6], "error:") {
		return f, false
	}
	dsn, rest, ok := strings.Cut(text[6:], ":")
	if !ok {
		return f, false
	}
	status, err := ParseStatus(dsn)
	if err != nil {
		return f, false
	}
	f = Fail{Status: status, Text: rest}
	if len(rest) > 4 && rest[3] == ' ' {
		if n, err := strconv.Atoi(rest[:3]); err == nil && n >= 200 && n <= 599 && rest[0] != '+' {
			f.Code, f.Text = n, rest[4:]
		}
	}
	return f, true
}

func quoteUnlessPlain(s string) string {
	if isPlainPath(s) {
		return s
	}
	return quoteText(s)
}

// isPlainPath reports whether s survives the tokenizer without quotes.
func isPlainPath(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c == 0x7f || strings.IndexByte(`()<>[]:;@\,"!%`, c) >= 0 {
			return false
		}
	}
	return true
}

func quoteText(s string) string {
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
