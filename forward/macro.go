package forward

import (
	"strings"

	"github.com/mtakit/mtakit"
)

// expand gives the name of a file in the path for one user. ok is false when there is none. A stranger chooses the
// detail: one with a slash would name a file in another directory and is not used.
func (f *Forward) expand(pattern string, acct mtakit.Account, detail string) (name string, ok bool) {
	name = f.expandDetail(pattern, acct, detail)
	if strings.Contains(detail, "/") && name != f.expandDetail(pattern, acct, "") {
		return "", false
	}
	return name, name != "" && !strings.Contains(name, "\x00")
}

func (f *Forward) expandDetail(pattern string, acct mtakit.Account, detail string) string {
	e := expander{lookup: func(macro string) string {
		switch macro {
		case "z":
			if acct.Home == "/" {
				return ""
			}
			return acct.Home
		case "u":
			return acct.Name
		case "h":
			return detail
		}
		return f.macros[macro]
	}}
	out, _ := e.run(pattern, true)
	return out
}

// expander replaces macros: $x and ${name} by their values, $$ by a dollar sign, and $?x then $| else $. by one of
// the two texts, depending on whether x has a value. Source: sendmail Installation and Operation Guide, section 5.1.
type expander struct {
	lookup func(name string) string
}

// run expands up to the end of the branch that it stands in, and returns what is left behind it.
func (e *expander) run(s string, live bool) (out, rest string) {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			i = len(s)
		}
		if live {
			b.WriteString(s[:i])
		}
		if i == len(s) {
			return b.String(), ""
		}
		c := s[i+1]
		switch s = s[i+2:]; c {
		case '$':
			if live {
				b.WriteByte('$')
			}
		case '?':
			var name, then, other string
			name, s = macroName(s)
			on := e.lookup(name) != ""
			if then, s = e.run(s, live && on); strings.HasPrefix(s, "$|") {
				other, s = e.run(s[2:], live && !on)
			}
			s = strings.TrimPrefix(s, "$.")
			b.WriteString(then + other)
		case '|', '.':
			return b.String(), "$" + string(c) + s
		default:
			var name string
			if name, s = macroName(string(c) + s); live {
				b.WriteString(e.lookup(name))
			}
		}
	}
	return b.String(), ""
}

// macroName cuts the name of a macro, one character or a word in braces.
func macroName(s string) (name, rest string) {
	if s == "" {
		return "", ""
	}
	if s[0] == '{' {
		if end := strings.IndexByte(s, '}'); end > 0 {
			return s[1:end], s[end+1:]
		}
	}
	return s[:1], s[1:]
}
