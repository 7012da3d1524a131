package mailertable

import (
	"context"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
	"github.com/mtakit/mtakit/internal/maptext"
)

// Map is the meaning of a mailertable over any table of keys: an mtakit.Router. It is safe for concurrent use if its
// table is.
type Map struct {
	table mtakit.Table
	pos   mtakit.PositionTable // the same, if it knows positions
}

// New gives a table its meaning. The keys of the table are in lower case.
func New(table mtakit.Table) *Map {
	m := &Map{table: table}
	m.pos, _ = table.(mtakit.PositionTable)
	return m
}

// search is one walk through the keys for a domain.
type search struct {
	m    *Map
	ctx  context.Context
	step mtakit.Step
}

// Route looks up the domain of addr, then its parents with a leading dot, then the lone dot, and gives the first value of
// the form mailer:host its meaning. An error value is an *mtakit.Error with ok true, and Routing.Route then shows
// sendmail's triple for it. Address literals are never looked up.
func (m *Map) Route(ctx context.Context, addr mtakit.Address) (d mtakit.Routing, ok bool, err error) {
	if addr.Domain == "" || addr.Domain[0] == '[' {
		return d, false, nil
	}
	s := search{m: m, ctx: ctx, step: mtakit.Step{Stage: "mailertable", Input: addr.Domain}}
	value, ok, err := s.find(addr.Domain)
	if ok && err != nil {
		return mtakit.Routing{Route: mtakit.Route{Mailer: mtakit.MailerError}, Step: s.step}, true, err
	}
	if !ok {
		if err == nil && mtakit.Tracing(ctx) {
			d.Step = s.step
		}
		return d, false, err
	}
	d.Step = s.step
	d.Route, err = meaning(value, addr)
	return d, true, err
}

// maxSteps ends a search that values without mailer lead in a circle: as many rulesets as sendmail nests.
const maxSteps = 50

var errTooDeep = &mtakit.Error{Code: 554, Status: mtakit.StatusPermanent, Exit: 70,
	Text: "rewrite: excessive recursion (max 50), ruleset Mailertable"}

// A value that names its argument twice doubles the name at every turn, so both its text and its tokens are bounded: far
// above what sendmail's address rules take.
const (
	maxText   = 4096
	maxTokens = 1000
)

var errTooLong = &mtakit.Error{Code: 553, Status: mtakit.StatusAddress, Text: "prescan: token too long"}

// find returns the tokens of the value that decides. Values without a mailer decide nothing: they take the place of the
// name in the further search, which ends with them in the end.
func (s *search) find(domain string) (value []string, ok bool, err error) {
	host, _, _ := lex.Scan(domain, 0)
	value, found, err := s.lookup(domain)
	switch {
	case err != nil:
		return nil, found, err
	case found && hasMailer(value):
		return value, true, nil
	case found:
		host = value
	}
	prefix := ""
	for n := 0; len(host) > 2 && host[1] == "." && host[0] != "["; n++ {
		if n == maxSteps {
			return nil, true, errTooDeep
		}
		label, rest := host[0], host[2:]
		value, found, err := s.lookup("."+lex.Join(rest, " "), prefix+label, label)
		switch {
		case err != nil:
			return nil, found, err
		case found && hasMailer(value):
			return value, true, nil
		}
		prefix += label
		if host = rest; !found {
			prefix += "."
		} else if host = value; len(value) < 2 || value[0] != "." {
			break
		} else {
			prefix, host = prefix+".", value[1:]
		}
	}
	value, found, err = s.lookup(".", prefix+lex.Join(host, " "))
	return value, found && (err != nil || hasMailer(value)), err
}

// lookup asks for one key and expands its value. A verdict about the value is an error with ok true.
func (s *search) lookup(key string, args ...string) (tokens []string, ok bool, err error) {
	s.step.Tried = append(s.step.Tried, key)
	folded := maptext.Key(key)
	var value string
	var pos mtakit.Position
	if s.m.pos != nil {
		value, pos, ok, err = s.m.pos.LookupPosition(s.ctx, folded)
	} else {
		value, ok, err = s.m.table.Lookup(s.ctx, folded)
	}
	if !ok || err != nil {
		return nil, false, err
	}
	s.step.Key, s.step.Value, s.step.Pos = key, value, pos
	text := maptext.Expand(value, append([]string{key}, args...)...)
	if len(text) > maxText {
		return nil, true, errTooLong
	}
	if tokens, _, _ = lex.Scan(text, 0); len(tokens) > maxTokens {
		return nil, true, errTooLong
	}
	return tokens, true, nil
}

// hasMailer reports whether a value begins with a word and a colon.
func hasMailer(value []string) bool { return len(value) > 1 && value[1] == ":" && value[0] != "[" }

// meaning reads a value mailer:host. The rules that sendmail has for this do not stop at the end of the value when nothing
// follows the colon: what comes next in the rewriting workspace, the address itself, is then taken for the host.
func meaning(value []string, addr mtakit.Address) (mtakit.Route, error) {
	local, _, _ := lex.Scan(localText(addr.Local), 0)
	host, _, _ := lex.Scan(addr.Domain, 0)
	mailer := strings.ToLower(value[0])
	t := append(value[2:len(value):len(value)], ">")
	t = append(append(t, local...), "<", "@")
	t = append(append(t, host...), ">")

	switch mailer {
	case mtakit.MailerError:
		return failure(t)
	case mtakit.MailerLocal:
		user, _ := untilAngle(t, 0)
		if i := index(user, "@"); i > 0 {
			user = user[:i]
		}
		if len(user) == 0 {
			user = local
		}
		return mtakit.Route{Mailer: mailer, Host: lex.Join(local, " ") + "@" + addr.Domain, User: lex.Join(user, " ")}, nil
	}
	to, _ := untilAngle(t, 1)
	if i := index(to, "@"); i > 0 && i < len(to)-1 && to[0] != ">" {
		next := lex.Join(to[i+1:], " ")
		return mtakit.Route{Mailer: mailer, Host: next, User: lex.Join(to[:i], " ") + "@" + next}, nil
	}
	return mtakit.Route{Mailer: mailer, Host: lex.Join(to, " ")}, nil
}

// failure reads error:D.S.N:text, error:word:text and error:text.
func failure(t []string) (mtakit.Route, error) {
	if len(t) > 7 && t[1] == "." && t[3] == "." && t[5] == ":" {
		if text, ok := untilAngle(t[6:], 1); ok {
			return fail(t[0]+"."+t[2]+"."+t[4], text)
		}
	}
	if len(t) > 3 && t[1] == ":" {
		if text, ok := untilAngle(t[2:], 1); ok {
			return fail(strings.Trim(t[0], `"`), text)
		}
	}
	text, _ := untilAngle(t, 1)
	return fail("", text)
}

func fail(word string, text []string) (mtakit.Route, error) {
	f := mtakit.NewFail(word, lex.Join(text, " "))
	f.Route.User = lex.Show(text)
	return f.Route, f.Err()
}

// untilAngle returns the tokens before the next closing bracket, at least min of them.
func untilAngle(t []string, min int) ([]string, bool) {
	for i := min; i < len(t); i++ {
		if t[i] == ">" {
			return t[:i], true
		}
	}
	return nil, false
}

func index(t []string, tok string) int {
	for i, s := range t {
		if s == tok {
			return i
		}
	}
	return -1
}

// localText writes a decoded local part as the address rules do: in quotes only if it has characters that they would
// take apart. One that is several words, some of them quoted, comes as it is.
func localText(local string) string {
	if !strings.ContainsAny(local, " \t\r\n()<>,;\"") {
		return local
	}
	if strings.IndexByte(local, '"') >= 0 {
		if _, _, faults := lex.Scan(local, 0); len(faults) == 0 {
			return local
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}
