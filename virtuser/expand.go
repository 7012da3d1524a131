package virtuser

import (
	"context"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
	"github.com/mtakit/mtakit/internal/maptext"
)

// Map is the meaning of a virtusertable over any table of keys: an mtakit.Expander that gives exactly one member for
// each address it knows. It is safe for concurrent use if its table is.
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

// Expand looks addr up under the keys that the package comment lists and returns the first value found, expanded. A
// value error:… gives a Fail. The member's Text is the expanded value; the Resolver reads it as an address again.
func (m *Map) Expand(ctx context.Context, addr mtakit.Address) (x mtakit.Expansion, ok bool, err error) {
	if addr.Domain == "" || addr.Local == "" {
		return x, false, nil
	}
	var room [7]string
	local := localText(addr.Local)
	tries := keys(room[:0], local, addr)
	for i, key := range tries {
		value, pos, ok, err := m.lookup(ctx, key)
		if err != nil {
			return mtakit.Expansion{}, false, err
		}
		// sendmail's rules mark a failed look-up by these two, and cannot tell them from a value: after @ they go on
		// to the next key, after ! they stop.
		value = strings.TrimRight(value, " \t\r")
		if !ok || value == "" || value == "@" {
			continue
		}
		if value == "!" {
			tries = tries[:i+1]
			break
		}
		args := arguments(i == 0, local, addr)
		text := maptext.Expand(value, key, args[0], args[1], args[2])
		x.To = []mtakit.Member{{To: meaning(text, addr), Text: text, Pos: pos}}
		x.Step = step(addr, tries[:i+1])
		x.Step.Key, x.Step.Value, x.Step.Pos = key, value, pos
		return x, true, nil
	}
	if mtakit.Tracing(ctx) {
		x.Step = step(addr, tries)
	}
	return x, false, nil
}

func step(addr mtakit.Address, tries []string) mtakit.Step {
	return mtakit.Step{Stage: "virtusertable", Input: addr.String(), Tried: append([]string(nil), tries...)}
}

func (m *Map) lookup(ctx context.Context, key string) (string, mtakit.Position, bool, error) {
	key = maptext.Key(key)
	if m.pos != nil {
		return m.pos.LookupPosition(ctx, key)
	}
	value, ok, err := m.table.Lookup(ctx, key)
	return value, mtakit.Position{}, ok, err
}

// keys lists the keys for addr in the order in which they are tried.
func keys(tries []string, local string, addr mtakit.Address) []string {
	whole := local + "@" + addr.Domain
	domain := whole[len(local):]
	tries = append(tries, whole)
	user, detail, ok := cutDetail(addr.Local)
	if !ok {
		return append(tries, domain)
	}
	user = localText(user)
	if detail != "" {
		tries = append(tries, user+"++"+domain)
	}
	tries = append(tries, user+"+*"+domain, user+domain)
	if detail != "" {
		tries = append(tries, "++"+domain)
	}
	return append(tries, "+*"+domain, domain)
}

// arguments are the parts of the address that a value may use as %1, %2 and %3: under the first key, and without a
// detail, the local part.
func arguments(first bool, local string, addr mtakit.Address) [3]string {
	user, detail, ok := cutDetail(addr.Local)
	if first || !ok {
		return [3]string{local}
	}
	detail = localText(detail)
	return [3]string{localText(user), detail, "+" + detail}
}

// localText writes a decoded local part as the address rules do: in quotes only if it has characters that they would
// take apart. One that is several words, some of them quoted, comes as it is.
func localText(local string) string {
	if !hasSpecial(local) {
		return local
	}
	if strings.IndexByte(local, '"') >= 0 {
		if _, _, faults := lex.Scan(local, 0); len(faults) == 0 {
			return local
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}

func hasSpecial(local string) bool {
	for i := 0; i < len(local); i++ {
		switch local[i] {
		case ' ', '\t', '\r', '\n', '(', ')', '<', '>', ',', ';', '"':
			return true
		}
	}
	return false
}

// cutDetail splits user+detail at the first plus sign that is neither the first character nor in quotes.
func cutDetail(local string) (user, detail string, ok bool) {
	quoted := false
	for i := 0; i < len(local); i++ {
		switch c := local[i]; {
		case c == '"':
			quoted = !quoted
		case c == '+' && i > 0 && !quoted:
			return local[:i], local[i+1:], true
		}
	}
	return "", "", false
}

// meaning reads an expanded value.
func meaning(text string, addr mtakit.Address) mtakit.Destination {
	tokens, _, faults := lex.Scan(text, 0)
	if len(tokens) > 1 && strings.EqualFold(tokens[0], "error") && tokens[1] == ":" {
		return failure(tokens, addr)
	}
	if len(faults) == 0 {
		if d, err := mtakit.ParseDestination(text); err == nil {
			return d
		}
	}
	return mtakit.Mailbox{Addr: mtakit.Address{Local: text}}
}

// failure reads error:D.S.N:text and error:word text. The rules that sendmail has for this do not stop at the end of the
// value when there is no text: what follows in the rewriting workspace, the address itself, is then the text.
func failure(tokens []string, addr mtakit.Address) mtakit.Destination {
	local, _, _ := lex.Scan(localText(addr.Local), 0)
	host, _, _ := lex.Scan(addr.Domain, 0)
	t := append(tokens[2:len(tokens):len(tokens)], ">")
	t = append(append(t, local...), "<", "@")
	t = append(append(t, host...), ".", ">")

	if len(t) > 7 && t[1] == "." && t[3] == "." && t[5] == ":" {
		if text, ok := untilAngle(t[6:]); ok {
			return verdict(t[0]+"."+t[2]+"."+t[4], text)
		}
	}
	if text, ok := untilAngle(t[1:]); ok {
		return verdict(strings.Trim(t[0], `"`), text)
	}
	return mtakit.Mailbox{Addr: mtakit.Address{Local: lex.Join(tokens, " ")}}
}

func verdict(word string, text []string) mtakit.Fail {
	f := mtakit.NewFail(word, lex.Join(text, " "))
	f.Route.User = lex.Show(text)
	return f
}

// untilAngle returns the tokens before the next closing bracket, at least one.
func untilAngle(t []string) ([]string, bool) {
	for i := 1; i < len(t); i++ {
		if t[i] == ">" {
			return t[:i], true
		}
	}
	return nil, false
}
