package alias

import (
	"context"
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

// Limits of sendmail 8.17's address parser, in bytes.
const (
	maxToken   = 256 // of a token
	maxAddress = 255 // of an address as written
)

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
	if i == len(s) || s[i] != ':' || end == 0 || end > maxAddress {
		return "", 0, false
	}
	return s[:end], i, true
}

// complaint is something that the address parser says of a text, with the reply code and exit status that belong to
// it. about is the text that sendmail names in front of it, "" if it names none.
type complaint struct {
	about  string
	err    error
	exit   int
	is8bit bool // bytes that sendmail uses itself were replaced in the text
}

// Exit statuses of sysexits.h that newaliases uses.
const (
	exitUsage    = 64
	exitNoHost   = 68
	exitSoftware = 70
)

// entryKey is what the address parser makes of the left side of an entry.
type entryKey struct {
	text string // as written up to the delimiter, for messages
	user string // the key, not folded
	says []complaint
	err  error // nil, ErrKey or ErrNotLocal
}

// readKey parses the left side of a line that has a colon.
func (p *Parser) readKey(s string) entryKey {
	if key, colon, ok := plainKey(s); ok {
		return entryKey{text: s[:colon], user: key}
	}
	a := p.parseAddress(s, ':')
	k := entryKey{text: a.text, user: a.user, says: a.says}
	switch {
	case !a.valid:
		k.err = ErrKey
	case !a.local:
		k.err = ErrNotLocal
	}
	return k
}

// parsed is what the address parser makes of a text.
type parsed struct {
	text  string // as written up to the delimiter
	n     int    // bytes up to the delimiter
	valid bool   // there is an address
	local bool   // and it is handled by the local mailer
	user  string // its user
	host  string // its domain if it is not local
	says  []complaint
}

// parseAddress does what sendmail's address parser does with the text up to delim, as far as that does not depend on
// its rewriting rules having been changed.
func (p *Parser) parseAddress(s string, delim byte) parsed {
	tokens, n, faults := lex.Scan(s, delim)
	a := parsed{text: s[:n], n: n}
	for _, fault := range faults {
		a.says = append(a.says, complaint{about: s, err: fault})
	}
	if longest(tokens) > maxToken {
		a.says = append(a.says, complaint{about: s, err: errors.New("prescan: token too long")})
		return a
	}
	if fault := p.checkText(a.text); fault != nil {
		a.says = append(a.says, *fault)
		return a
	}
	if len(tokens) == 0 {
		return a
	}
	a.valid = true
	user, err := a.resolve(p, tokens, len(faults) > 0)
	if err != nil {
		a.says = append(a.says, complaint{about: a.text, err: err, exit: asVerdict(err).Exit})
	}
	a.user = replace(user, isControl)
	if a.user != user {
		a.says = append(a.says, complaint{err: lex.Fault(fmt.Sprintf("Syntax error in mailbox address \"%s\" (non-printable character)", a.user))})
	}
	return a
}

func longest(tokens []string) (n int) {
	for _, t := range tokens {
		n = max(n, len(t))
	}
	return n
}

// checkText refuses addresses that are too long, and the bytes from 0x80 to 0x9f, which sendmail uses itself.
func (p *Parser) checkText(s string) *complaint {
	if len(s) > maxAddress {
		s = s[:maxAddress]
		return &complaint{about: s, err: lex.Fault(fmt.Sprintf("Address \"%s\" too long (%d bytes max)", s, maxAddress))}
	}
	if p.UTF8 {
		return nil
	}
	if shown := replace(s, isC1); shown != s {
		return &complaint{err: lex.Fault(fmt.Sprintf("8-bit character in mailbox address \"%s\"", shown)), exit: exitUsage, is8bit: true}
	}
	return nil
}

func isC1(c byte) bool      { return c&0xe0 == 0x80 }
func isControl(c byte) bool { return c < ' ' && !isSpace(c) || c == 0x7f }
func isC0(c byte) bool      { return c < ' ' || c == 0x7f }

// replace puts question marks in the place of bad bytes, as sendmail's address parser does in the text itself.
func replace(s string, bad func(byte) bool) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if bad(s[i]) {
			if b == nil {
				b = []byte(s)
			}
			b[i] = '?'
		}
	}
	if b == nil {
		return s
	}
	return string(b)
}

// resolve finds out whom the address means, by the rules of the standard configuration, and returns the user part.
func (a *parsed) resolve(p *Parser, tokens []string, repaired bool) (user string, err error) {
	text := a.text
	if repaired {
		text = lex.Join(tokens, " ")
	}
	r := mtakit.Resolver{LocalDomains: localDomains{p}}
	_, route, _, err := r.Parse(context.Background(), text)
	a.local = route.Mailer == mtakit.MailerLocal
	if !a.local && route.Mailer != mtakit.MailerError {
		a.host = route.Host
	}
	if v := asVerdict(err); v != nil && v.Exit == 0 {
		set := *v
		set.Exit = exitUsage
		if v.Status == mtakit.StatusBadSystem {
			set.Exit = exitNoHost
		}
		err = &set
	}
	return route.User, err
}

// localDomains is Parser.LocalDomain as the address rules ask it.
type localDomains struct{ p *Parser }

func (d localDomains) Contains(_ context.Context, domain string) (bool, error) {
	return d.p.LocalDomain != nil && d.p.LocalDomain(domain), nil
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

// keyOf returns the key under which a local part is found, decoded or in quotes.
func keyOf(local string) string {
	if local[0] == '"' {
		return dequote(local)
	}
	for i := 0; i < len(local); i++ {
		switch local[i] {
		case ' ', '"', '(', ')', '<', '>':
			return dequote(`"` + quoteReplacer.Replace(local) + `"`)
		}
	}
	return local
}

var quoteReplacer = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

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
	return fmt.Errorf("%s... %w", s[:min(len(s), 40)], err)
}
