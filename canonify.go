package mtakit

import (
	"context"
	"slices"
	"strings"

	"github.com/mtakit/mtakit/internal/lex"
)

// focus is an address taken apart at the place that decides about routing. Ruleset canonify of the standard
// configuration makes it; in rewriting traces it reads local<@host.>, the final dot telling that host is canonical: a
// name that is known to exist or needs no proof.
type focus struct {
	form        focusForm
	local, host []string // tokens
	canonical   bool
	class       hostClass
	plain       string // the whole text, as long as it is local@host, or a name, without anything special: see plainFocus
}

// hostClass remembers whether a host is ours.
type hostClass uint8

const (
	notAsked hostClass = iota
	ours
	foreign
)

type focusForm uint8

const (
	unfocused focusForm = iota // no domain
	hosted                     // local and host, either of which may be empty
	nullPath                   // <>
	listForm                   // list:; which names nobody
)

// domain returns the host as text.
func (f focus) domain() string {
	if len(f.host) == 1 {
		return f.host[0]
	}
	return lex.Join(f.host, " ")
}

// text prints f as sendmail's address test mode does.
func (f focus) text() string {
	local := lex.Show(f.local)
	switch f.form {
	case nullPath:
		return "<@>"
	case hosted:
		dot := ""
		if f.canonical {
			dot = "."
		}
		return local + "<@" + lex.Show(f.host) + dot + ">"
	}
	return local
}

// plainFocus takes a plain address apart without a tokenizer. It refuses those that some rule treats specially. room holds
// the tokens.
func plainFocus(text string, room *[2]string) (f focus, ok bool) {
	at, label := -1, 0 // where the at sign stands, and where the last label of the domain begins
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '@':
			if at >= 0 || i == 0 {
				return f, false
			}
			at, label = i, i+1
		case !plainByte[c]:
			return f, false
		case c == '.' && at >= 0:
			if label == i { // an empty label
				return f, false
			}
			label = i + 1
		}
	}
	if at < 0 {
		room[0] = text
		return focus{local: room[:1:1], plain: text}, text != ""
	}
	last := text[label:]
	if last == "" || strings.EqualFold(last, "UUCP") || strings.EqualFold(last, "REDIRECT") {
		return f, false
	}
	room[0], room[1] = text[:at], text[at+1:]
	return focus{form: hosted, local: room[:1:1], host: room[1:], plain: text}, true
}

// findFocus finds the part of an address that routes it: the innermost angle brackets, then the last at sign between two
// words, or else the first bang, or else the last percent or at sign. Phrases, source routes and group names go.
func findFocus(t []string) focus {
	if len(t) == 0 {
		return focus{form: nullPath}
	}
	t = stripGroup(t)
	t = insideAngles(t)
	if t == nil {
		return focus{form: listForm}
	}
	if len(t) == 0 {
		return focus{form: nullPath}
	}
	t = stripRoute(t)

	if len(t) == 1 && (t[0] == "@" || t[0] == "%") {
		return focus{form: nullPath}
	}
	for at := len(t) - 2; at > 0; at-- {
		if t[at] == "@" {
			return focus{form: hosted, local: t[:at], host: t[at+1:]}
		}
	}
	if f, ok := bangFocus(t); ok {
		return f
	}
	if at := max(lastIndex(t, "@"), lastIndex(t, "%")); at >= 0 {
		f := focus{form: hosted, local: t[:at], host: t[at+1:]}
		if at > 0 && t[0] == "@" {
			f.local = slices.Concat([]string{"%"}, t[1:at])
		}
		return f
	}
	return focus{local: t}
}

// stripGroup removes "group:" in front, and semicolons at the end.
func stripGroup(t []string) []string {
	colon := slices.Index(t, ":")
	switch {
	case colon < 0:
	case colonBeforeLiteral(t):
		t = t[colon+1:]
	case slices.Contains(t, "<"), t[0] == "@", isIPv6Literal(t), hasDoubleColon(t), isIncludeText(t):
	default:
		t = t[colon+1:]
	}
	for len(t) > 0 && t[len(t)-1] == ";" {
		t = t[:len(t)-1]
	}
	return t
}

func colonBeforeLiteral(t []string) bool {
	colon, open := slices.Index(t, ":"), lastIndex(t, "[")
	return open > colon && t[len(t)-1] == "]"
}

// isIPv6Literal reports whether t ends in [IPv6:…] and has no colon in front of it.
func isIPv6Literal(t []string) bool {
	open := slices.Index(t, "[")
	return open >= 0 && open+2 < len(t) && strings.EqualFold(t[open+1], "IPv6") && t[open+2] == ":" &&
		t[len(t)-1] == "]" && slices.Index(t, ":") > open
}

func hasDoubleColon(t []string) bool {
	for i := 1; i < len(t); i++ {
		if t[i] == ":" && t[i-1] == ":" {
			return true
		}
	}
	return false
}

func isIncludeText(t []string) bool {
	return len(t) >= 3 && t[0] == ":" && strings.EqualFold(t[1], "include") && t[2] == ":"
}

// insideAngles returns what stands in the last angle brackets, t itself when there are none, and nil for a list that
// names nobody: <list:;>.
func insideAngles(t []string) []string {
	open := lastIndex(t, "<")
	if open < 0 {
		if len(t) == 0 {
			return nil
		}
		return t
	}
	inner := t[open+1:]
	if end := slices.Index(inner, ">"); end >= 0 {
		inner = inner[:end]
	}
	if n := len(inner); n >= 2 && inner[n-1] == ";" && inner[n-2] == ":" {
		return nil
	}
	for len(inner) > 0 && inner[len(inner)-1] == ";" {
		inner = inner[:len(inner)-1]
	}
	if len(inner) == 1 && inner[0] == "@" && open == 0 {
		return nil
	}
	return inner[:len(inner):len(inner)]
}

// stripRoute removes a source route: @a,@b:user@host (RFC 5321 appendix C).
func stripRoute(t []string) []string {
	for len(t) > 0 && t[0] == "@" {
		i := indexFrom(t, 2, ",")
		if i < 0 || i == len(t)-1 {
			i = indexFrom(t, 2, ":")
		}
		if i > 0 && t[1] == "[" {
			if end := slices.Index(t, "]"); end > 0 && end+1 < len(t) && t[end+1] == ":" {
				i = end + 1
			}
		}
		if i < 2 || i == len(t)-1 {
			break
		}
		t = t[i+1:]
	}
	return t
}

// bangFocus reads host!user, the form of UUCP. A host without a dot belongs to the pseudo domain UUCP.
func bangFocus(t []string) (focus, bool) {
	bang := indexFrom(t, 1, "!")
	if bang < 1 || bang == len(t)-1 {
		return focus{}, false
	}
	host := slices.DeleteFunc(slices.Clone(t[:bang]), func(s string) bool { return s == "@" })
	if bang < 3 || t[bang-2] != "." {
		host = append(host, ".", "UUCP")
	}
	return focus{form: hosted, local: t[bang+1:], host: host}, true
}

// indexFrom is slices.Index that begins at a token.
func indexFrom(t []string, from int, tok string) int {
	for i := from; i < len(t); i++ {
		if t[i] == tok {
			return i
		}
	}
	return -1
}

func lastIndex(t []string, tok string) int {
	for i := len(t) - 1; i >= 0; i-- {
		if t[i] == tok {
			return i
		}
	}
	return -1
}

// canonifyHost replaces the host of f by its canonical name: our own name for localhost and for literals that are
// ours, and otherwise what DNS says. It marks f canonical when the name needs no further proof. A name server that
// cannot tell is no error: the name stays as it is, and retry tells the caller to hold the message.
func (r *Resolver) canonifyHost(ctx context.Context, f *focus) (retry bool, err error) {
	if f.form != hosted || len(f.host) == 0 {
		return false, nil
	}
	name := f.domain()
	if len(f.host) > 1 {
		f.host = []string{name}
	}
	switch {
	case isLocalhost(name, r.Hostname):
		*f = focus{form: hosted, local: f.local, host: []string{r.hostname()}, canonical: true}
		return false, nil
	case name[0] == '[' && name[len(name)-1] == ']':
		local, err := r.isLocal(ctx, name)
		if local {
			f.host, f.canonical = []string{r.hostname()}, true
		}
		return false, err
	case name[len(name)-1] == '.':
		f.host, f.canonical = []string{strings.TrimRight(name, ".")}, true
		if f.host[0] == "" {
			f.host = []string{"."}
		}
		return false, nil
	case hasSuffixFold(name, ".UUCP"):
		host, known, again := r.lookupName(ctx, strings.TrimRight(name[:len(name)-len(".UUCP")], "."))
		if !known {
			host += ".UUCP"
		}
		f.host, f.canonical = []string{host}, true
		return again, nil
	case r.Redirect && hasSuffixFold(name, ".REDIRECT"):
		f.canonical = true
		return false, nil
	}
	host, known, again := r.lookupName(ctx, name)
	if host != name {
		f.host, f.plain = []string{host}, ""
	}
	f.canonical = known
	if !known {
		if f.canonical, err = r.isOurs(ctx, f); !f.canonical && err == nil {
			f.canonical, err = contains(ctx, r.VirtualDomains, host)
		}
	}
	return again, err
}

// isOurs reports whether the host of f is local.
func (r *Resolver) isOurs(ctx context.Context, f *focus) (bool, error) {
	if f.class == notAsked {
		local, err := r.isLocal(ctx, f.domain())
		if err != nil {
			return false, err
		}
		if f.class = foreign; local {
			f.class = ours
		}
	}
	return f.class == ours, nil
}

// lookupName asks the Canonify hook. known tells that the name exists, or need not be looked up.
func (r *Resolver) lookupName(ctx context.Context, name string) (canonical string, known, retry bool) {
	if r.Canonify == nil {
		return name, strings.Contains(name, "."), false
	}
	canonical, known, err := r.Canonify(ctx, name)
	if err != nil || !known {
		return name, false, err != nil
	}
	return strings.TrimSuffix(canonical, "."), true, false
}

func isLocalhost(name, hostname string) bool {
	if !hasPrefixFold(name, "localhost") {
		return false
	}
	rest := name[len("localhost"):]
	if rest == "" || strings.EqualFold(rest, ".UUCP") {
		return true
	}
	_, parent, ok := strings.Cut(hostname, ".")
	return ok && rest[0] == '.' && strings.EqualFold(rest[1:], parent)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) > len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// dequote removes the quotes of a token, as the map of that name does: not when there are blanks inside, nor when
// brackets or parentheses do not balance, so that the meaning stays the same. The text is split anew.
func dequote(tok string) []string {
	if tok == "" || tok[0] != '"' {
		return []string{tok}
	}
	b := make([]byte, 0, len(tok))
	angles, parens := 0, 0
	for i := 0; i < len(tok); i++ {
		switch c := tok[i]; c {
		case ' ', '\t':
			return []string{tok}
		case '"':
			continue
		case '\\':
			if b = append(b, c); i+1 < len(tok) {
				i++
				b = append(b, tok[i])
			}
			continue
		case '<':
			angles++
		case '>':
			angles--
		case '(':
			parens++
		case ')':
			parens--
		}
		if angles < 0 || parens < 0 {
			return []string{tok}
		}
		b = append(b, tok[i])
	}
	if angles != 0 || parens != 0 {
		return []string{tok}
	}
	tokens, _, _ := lex.Scan(string(b), 0)
	return tokens
}
