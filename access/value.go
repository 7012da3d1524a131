package access

import (
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// Kind tells what a value asks for.
type Kind uint8

// The kinds of value. Which of them have an effect depends on the question; the others are taken as Text.
const (
	KindText       Kind = iota // refuse with this text; also every word that is no keyword
	KindOK                     // accept even what other rules would refuse
	KindRelay                  // accept and, for Connect: and To:, permit relaying
	KindReject                 // refuse with the default text of the check
	KindDiscard                // accept and drop silently
	KindSkip                   // stop this search as if nothing was found (Options.Skip)
	KindQuarantine             // accept and hold
	KindError                  // ERROR:…, refuse with this status and text
	KindFriend                 // FRIEND, for Spam: entries
	KindHater                  // HATER, for Spam: entries
)

// Value is the meaning of an entry's right-hand side.
type Value struct {
	Kind   Kind
	Status string // of ERROR:D.S.N:text: "5.7.1"; kept as text because it need not be a valid status
	Text   string // of Error and Text: text, perhaps with codes in front; of Quarantine: the reason
}

// ParseValue reads a right-hand side. It never fails: what is no keyword is refusal text.
func ParseValue(s string) Value {
	words := tokens(s)
	if len(words) == 1 {
		for w, k := range keywords {
			if strings.EqualFold(words[0], w) {
				return Value{Kind: k}
			}
		}
	}
	if len(words) >= 3 && words[1] == ":" {
		switch rest := words[2:]; {
		case strings.EqualFold(words[0], "QUARANTINE"):
			return Value{Kind: KindQuarantine, Text: join(rest)}
		case strings.EqualFold(words[0], "ERROR"):
			if len(rest) >= 7 && rest[1] == "." && rest[3] == "." && rest[5] == ":" {
				return Value{Kind: KindError, Status: strings.Join(rest[:5], ""), Text: join(rest[6:])}
			}
			return Value{Kind: KindError, Text: join(rest)}
		}
	}
	return Value{Kind: KindText, Text: join(words)}
}

var keywords = map[string]Kind{
	"OK": KindOK, "RELAY": KindRelay, "REJECT": KindReject, "DISCARD": KindDiscard, "SKIP": KindSkip,
	"FRIEND": KindFriend, "HATER": KindHater,
}

// tokens splits s as sendmail does with everything that a map returns: blanks separate, operators stand alone, quotes
// keep a string together with its quotes, comments in parentheses vanish.
func tokens(s string) []string {
	words, _, _ := lex.Scan(s, 0)
	return words
}

// join puts words together: a blank between two plain words, nothing beside an operator or a quoted string.
func join(words []string) string { return lex.Join(words, " ") }

// quoted returns the length of the quoted string at the start of s, its quotes included.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// comment returns the length of the comment at the start of s. Comments nest.
func comment(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// reply makes the refusal that sendmail makes of an error text: code and enhanced status may stand in front of the
// text, dsn is the status that the rule gives, and about is the address that replies of some codes begin with.
// sendmail: parseaddr.c, buildaddr; err.c, fmtmsg.
func reply(text, dsn, about string) *mtakit.Error {
	text = unquote(text)
	e := &mtakit.Error{Code: 553, Status: mtakit.StatusSystem, Text: text}
	if len(text) >= 4 && isCode(text[:3]) && text[3] == ' ' {
		e.Code = int(text[0]-'0')*100 + int(text[1]-'0')*10 + int(text[2]-'0')
		e.Text = text[4:]
		e.Status = mtakit.NewStatus(e.Code/100, 0, 0)
		word, rest, ok := strings.Cut(e.Text, " ")
		if st, err := mtakit.ParseStatus(word); ok && err == nil {
			e.Status, e.Text = st, rest
		} else if st, err := mtakit.ParseStatus(dsn); err == nil {
			e.Status = st
		}
	}
	e.Text = printable(e.Text)
	switch e.Code {
	case 250, 252, 450, 550, 553:
		if about != "" {
			e.Text = printable(about) + "... " + e.Text
		}
	}
	return e
}

// printable replaces control characters: a reply is one line, and a log line, too.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

func isCode(s string) bool {
	return '2' <= s[0] && s[0] <= '5' && '0' <= s[1] && s[1] <= '9' && '0' <= s[2] && s[2] <= '9'
}

// unquote removes the double quotes of s, and the backslashes that protect a character. sendmail: stripquotes.
func unquote(s string) string {
	if strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
