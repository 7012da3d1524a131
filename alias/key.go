package alias

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// Reasons why a line is not an entry, in sendmail's words.
var (
	ErrTooLong      = errors.New("alias line too long")
	ErrLeadingSpace = errors.New("Non-continuation line starts with space") //lint:ignore ST1005 sendmail's text
	ErrNoColon      = errors.New("missing colon")
	ErrKey          = errors.New("illegal alias name")
	ErrNotLocal     = errors.New("cannot alias non-local names")
	ErrNoValue      = errors.New("missing value for alias")
)

// maxToken is the longest token of an address that sendmail reads (MAXNAME of sendmail 8.17, without the NUL byte).
const maxToken = 255

// keyByte marks the characters of plain keys, which every stage of the address parser leaves alone. Dot, plus and
// star are operators, but harmless without at sign.
var keyByte = func() (t [256]bool) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "0123456789-_.+=*" {
		t[c] = true
	}
	return t
}()

// plainKey returns the key at the start of a line and the index of its colon, when the key is plain.
func plainKey(s string) (key string, colon int, ok bool) {
	i := 0
	for i < len(s) && keyByte[s[i]] {
		i++
	}
	end := i
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	if i == len(s) || s[i] != ':' || end == 0 || end > maxToken {
		return "", 0, false
	}
	return s[:end], i, true
}

// entryKey is what the address parser makes of the left side of an entry.
type entryKey struct {
	text   string      // as written up to the delimiter, for messages
	user   string      // the key
	faults []lex.Fault // what was repaired; sendmail names the whole line with them
	refuse error       // the parser's own verdict, an *mtakit.Error; it is named beside err
	err    error       // ErrKey or ErrNotLocal
}

// readKey parses the left side of a line that has a colon.
func (p *Parser) readKey(s string) entryKey {
	if key, _, ok := plainKey(s); ok {
		return entryKey{text: key, user: key}
	}
	tokens, n, faults := lex.Scan(s, ':')
	k := entryKey{text: strings.TrimRight(s[:n], " \t\r\n\v\f"), faults: faults}
	if longest(tokens) > maxToken {
		k.faults = append(k.faults, "prescan: token too long")
		k.err = ErrKey
		return k
	}
	if len(tokens) == 0 {
		k.err = ErrKey
		return k
	}
	local := localName
	if p.LocalName != nil {
		local = p.LocalName
	}
	user, ok, err := local(lex.Join(tokens, " "))
	if err != nil {
		k.refuse = err
	}
	if !ok {
		k.err = ErrNotLocal
		return k
	}
	k.user = user
	return k
}

func longest(tokens []string) (n int) {
	for _, t := range tokens {
		n = max(n, len(t))
	}
	return n
}

// localName is the LocalName of a Parser that has none: names without a domain are local, and names at localhost.
func localName(text string) (user string, ok bool, err error) {
	tokens, _, _ := lex.Scan(text, 0)
	tokens = inAngles(tokens)
	if len(tokens) == 1 && tokens[0] == "@" {
		return "", true, nil // sendmail's null address
	}
	at := -1
	for i, t := range tokens {
		switch t {
		case "%", "!":
			return "", false, nil
		case ",", ";", ":":
			return "", false, &mtakit.Error{Code: 553, Status: mtakit.StatusMailboxSyntax, Text: "Invalid route address"}
		case "@":
			at = i
		}
	}
	if at == 0 {
		return "", false, &mtakit.Error{Code: 553, Status: mtakit.StatusMailboxSyntax, Text: "User address required"}
	}
	if at > 0 {
		if !strings.EqualFold(strings.TrimSuffix(lex.Join(tokens[at+1:], "."), "."), "localhost") {
			return "", false, nil
		}
		tokens = tokens[:at]
	}
	user = lex.Join(tokens, ".")
	if bare := strings.TrimPrefix(user, `"`); bare == "" || bare[0] == '|' || bare[0] == '/' || bare[0] == ':' {
		return "", false, nil
	}
	return dequote(user), true, nil
}

// inAngles returns the tokens between angle brackets, if there are any.
func inAngles(tokens []string) []string {
	for i := len(tokens) - 1; i >= 0; i-- {
		if tokens[i] != "<" {
			continue
		}
		tokens = tokens[i+1:]
		for j, t := range tokens {
			if t == ">" {
				return tokens[:j]
			}
		}
		break
	}
	return tokens
}

// dequote removes the quotes of a local part as sendmail's dequote map does: all of them, but only if no blank is
// left and brackets are balanced. Otherwise the text stays as it is, quotes included.
func dequote(s string) string {
	if !strings.Contains(s, `"`) {
		return s
	}
	b := make([]byte, 0, len(s))
	comments, angles := 0, 0
	quoted := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			if i+1 == len(s) {
				return s
			}
			b = append(b, c, s[i+1])
			i++
			continue
		}
		switch {
		case c == ' ':
			return s
		case c == '(':
			comments++
		case c == ')':
			comments--
		case comments > 0:
		case c == '"':
			quoted = !quoted
			continue
		case c == '<':
			angles++
		case c == '>':
			angles--
		}
		if comments < 0 || angles < 0 {
			return s
		}
		b = append(b, c)
	}
	if quoted || comments != 0 || angles != 0 {
		return s
	}
	return string(b)
}

// keyOf returns the key under which a decoded local part is found.
func keyOf(local string) string {
	if !strings.ContainsAny(local, " \"\\()<>") {
		return local
	}
	quoted := `"` + quoteReplacer.Replace(local) + `"`
	return dequote(quoted)
}

var quoteReplacer = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

// fold lower-cases ASCII letters, as sendmail does in the C locale. It returns s itself when there are none.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// equalFold compares s with an already folded string.
func equalFold(s, folded string) bool {
	if len(s) != len(folded) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if lower(s[i]) != folded[i] {
			return false
		}
	}
	return true
}

// lineError makes the text of an error that sendmail begins with a piece of the line.
func lineError(s string, err error) error {
	if len(s) > 40 {
		s = s[:40]
	}
	return fmt.Errorf("%s... %w", s, err)
}
