package mtakit

import (
	"strings"

	"github.com/mtakit/mtakit/internal/lex"
)

// ParseList splits the text of an alias, of a forward file's line or of an include file's line into its members, in
// the order of the text. Commas separate; quotes, comments in parentheses and angle brackets protect them. Each member
// has one of these forms:
//
//	ann, ann@example.org, Ann Example <ann@example.org>, "ann" (comment)    a Mailbox
//	\ann, "\ann"                                                           a User
//	/var/mail/archive, "/path with blanks"                                 a File
//	|prog, "|prog args", |"prog args"                                      a Pipe
//	:include:/path                                                         an Include
//	group: ann, bob;                                                       the members; name and semicolon vanish
//
// Members that are empty but for comments are left out. What is not balanced is repaired as sendmail does: the
// repaired member is there, and before it a Fail with the reason, 553 5.0.0 Unbalanced '"'. A member that has no
// meaning at all is a Fail.
//
// pos goes into every member. Source: sendmail sendtolist and prescan; RFC 5322 section 3.4; aliases(5).
func ParseList(text string, pos Position) []Member { return parseList(text, pos, ',') }

// parseList is ParseList with another delimiter; a blank stands for any white space.
func parseList(text string, pos Position, delim byte) []Member {
	var members []Member
	for at := 0; ; {
		for at < len(text) && (text[at] == ',' || isBlank(text[at])) {
			at++
		}
		if at == len(text) {
			return members
		}
		rest := text[at:]
		if n := plainLen(rest); n > 0 && delim == ',' {
			members = append(members, Member{To: plainMailbox(rest[:n]), Text: rest[:n], Pos: pos})
			at += n
			continue
		}
		tokens, n, faults := lex.Scan(rest, delim)
		for _, f := range faults {
			// sendmail names the rest of the list here: it does not know yet where the member ends.
			members = append(members, Member{To: faultFail(f), Text: strings.TrimRight(rest, " \t\r\n"), Pos: pos})
		}
		if to := destinationOf(tokens); to != nil {
			members = append(members, Member{To: to, Text: strings.TrimRight(rest[:n], " \t\r\n"), Pos: pos})
		}
		if at += n; at < len(text) {
			at++ // the comma, or a NUL byte
		}
	}
}

// ParseDestination reads a single destination in the text form of ParseList, or error:D.S.N:text as String prints it.
// Text that sendmail would repair or refuse is an *Error, and so are several members.
func ParseDestination(text string) (Destination, error) {
	if f, ok := parseFail(text); ok {
		return f, nil
	}
	members := ParseList(text, Position{})
	for _, m := range members {
		if f, ok := m.To.(Fail); ok {
			return nil, f.Err()
		}
	}
	switch len(members) {
	case 0:
		return nil, badAddress(StatusMailboxSyntax, "User address required")
	case 1:
		return members[0].To, nil
	}
	return nil, badAddress(StatusMailboxSyntax, "Invalid route address")
}

func faultFail(f lex.Fault) Fail {
	return Fail{Code: 553, Status: StatusPermanent, Text: f.Error(), Exit: exitUsage}
}

// repaired reports whether f is not about a member that failed, but about the text of one that was repaired.
func (f Fail) repaired() bool {
	return f.Code == 553 && f.Status == StatusPermanent && strings.HasPrefix(f.Text, "Unbalanced ")
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// plainLen returns the length of the plain address at the start of s, one that every stage reads as it stands, when a
// comma or the end follows it; otherwise 0.
func plainLen(s string) int {
	ats := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ',':
			return i
		case c == '@':
			if ats++; ats > 1 || i == 0 {
				return 0
			}
		case !plainByte[c]:
			return 0
		}
	}
	return len(s)
}

// plainByte marks the characters that have no meaning for any stage. Dot and plus have one, but are harmless here.
var plainByte = func() (t [256]bool) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "0123456789-_.+=" {
		t[c] = true
	}
	return t
}()

// plainMailbox cuts a plain address.
func plainMailbox(s string) Destination {
	local, domain, ok := strings.Cut(s, "@")
	if !ok {
		return Mailbox{Address{local, ""}}
	}
	name := strings.TrimRight(domain, ".")
	if name == "" {
		return noDomain(domain)
	}
	return Mailbox{Address{local, name}}
}

// noDomain is the verdict on an address whose domain is empty or made of dots.
func noDomain(domain string) Fail {
	if domain == "" {
		return Fail{Code: 553, Status: StatusMailboxSyntax, Text: "Hostname required", Exit: exitUsage}
	}
	return Fail{Code: 553, Status: StatusBadSystem, Text: "Invalid host name", Exit: exitNoHost}
}

// destinationOf gives the meaning of one member's tokens, as far as it does not depend on the configuration: the
// Resolver reads the text again with all of sendmail's rewriting rules. It returns nil when there is nothing.
func destinationOf(tokens []string) Destination {
	if len(tokens) == 0 {
		return nil
	}
	tokens = stripPhrase(tokens)
	if len(tokens) == 0 || len(tokens) == 1 && tokens[0] == "@" {
		return nobody
	}
	if path, ok := includePath(tokens); ok {
		return Include{path}
	}
	at := len(tokens) - 1
	for at >= 0 && tokens[at] != "@" {
		at--
	}
	if at < 0 {
		return localDestination(tokens, "")
	}
	written := lex.Join(tokens[at+1:], ".")
	domain := strings.TrimRight(written, ".")
	switch {
	case domain == "" || strings.ContainsAny(domain, `"\`):
		return noDomain(written)
	case at == 0:
		return Fail{Code: 553, Status: StatusMailboxSyntax, Text: "User address required", Exit: exitUsage}
	case strings.ContainsAny(domain, ",;<>()"): // a name with one of these would be read as something else next time
		return Fail{Code: 553, Status: StatusBadSystem, Text: "Invalid host name", Exit: exitUsage}
	}
	return localDestination(tokens[:at], domain)
}

// nobody is what <> and @ name. In a run they are all the same address, a local user without a name.
var nobody = Fail{Code: 550, Status: StatusBadMailbox, Text: "User unknown", Exit: exitNoUser}

// stripPhrase leaves the address of Phrase <address>, group: address; and <@route:address>.
func stripPhrase(tokens []string) []string {
	for i := len(tokens) - 1; i >= 0; i-- {
		if tokens[i] == "<" {
			tokens = tokens[i+1:]
			if end := indexToken(tokens, ">"); end >= 0 {
				tokens = tokens[:end]
			}
			break
		}
	}
	if len(tokens) > 0 && tokens[0] == "@" {
		if i := indexToken(tokens, ":"); i >= 0 && !hasToken(tokens[:i], "[") {
			tokens = tokens[i+1:]
		}
	} else if i := indexToken(tokens, ":"); i > 0 && !hasToken(tokens[:i], "[") && !hasToken(tokens[:i], "@") {
		tokens = tokens[i+1:]
	}
	for len(tokens) > 0 && tokens[len(tokens)-1] == ";" {
		tokens = tokens[:len(tokens)-1]
	}
	return tokens
}

func indexToken(tokens []string, tok string) int {
	for i, t := range tokens {
		if t == tok {
			return i
		}
	}
	return -1
}

func hasToken(tokens []string, tok string) bool { return indexToken(tokens, tok) >= 0 }

const includePrefix = ":include:"

// includePath reads :include:path, in any case and quoted or not.
func includePath(tokens []string) (path string, ok bool) {
	raw := strings.TrimLeft(lex.Join(tokens, "."), `"`)
	if len(raw) < len(includePrefix) || !strings.EqualFold(raw[:len(includePrefix)], includePrefix) {
		return "", false
	}
	return strings.Trim(unquoteTokens(tokens)[len(includePrefix):], " \t"), true
}

// localDestination gives the meaning of a local part.
func localDestination(tokens []string, domain string) Destination {
	local := unquoteTokens(tokens)
	raw := lex.Join(tokens, ".")
	if domain == "" {
		switch bare := strings.TrimLeft(raw, `"`); {
		case strings.HasPrefix(bare, "|"):
			return Pipe{strings.TrimLeft(local[1:], " \t")}
		case strings.HasPrefix(bare, "/"):
			return File{local}
		}
	}
	if name, ok := backslashed(raw, local); ok {
		return User{Address{name, domain}}
	}
	if local == "" {
		return Fail{Code: 553, Status: StatusMailboxSyntax, Text: "User address required", Exit: exitUsage}
	}
	if domain == "" && (local[0] == '/' || local[0] == '|' || local[0] == ':') {
		// A file, program or list in disguise, as in """\/x": no user has such a name.
		return Fail{Code: 550, Status: StatusBadMailbox, Text: "User unknown", Exit: exitNoUser}
	}
	return Mailbox{Address{local, domain}}
}

// backslashed recognises \name and "\name", where local is raw without its quotes. Any other backslash keeps a name
// from being aliased, too, but is part of it.
func backslashed(raw, local string) (name string, ok bool) {
	switch {
	case strings.HasPrefix(raw, `\`):
		name = local[1:]
	case strings.HasPrefix(raw, `"\`):
		name = local
	}
	return name, name != "" && name[0] != '"' && name[0] != '\\'
}

// unquoteTokens joins tokens, with sendmail's substitute for a blank between words, and removes quotes and the
// backslashes inside them.
func unquoteTokens(tokens []string) string {
	return stripQuotes(lex.Join(tokens, "."))
}

// stripQuotes removes quotes, and backslashes inside quotes. A backslash outside quotes stays, with what it protects.
func stripQuotes(s string) string {
	if strings.IndexByte(s, '"') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && i+1 < len(s):
			if !quoted {
				b = append(b, c)
			}
			i++
			b = append(b, s[i])
		default:
			b = append(b, c)
		}
	}
	return string(b)
}
