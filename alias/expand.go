package alias

import (
	"context"
	"fmt"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// Options tunes a Map. The zero value is ready for use.
type Options struct {
	// KeepCase looks names up as they are (sendmail: the table is declared with -f). Otherwise they are folded to
	// lower case.
	KeepCase bool
	// PreserveDetail makes Expand look user+detail up as a whole and nothing else
	// (FEATURE(preserve_local_plus_detail)). A Resolver has a field of that name and does not care about this one.
	PreserveDetail bool
}

// Map is the meaning of an alias table: an mtakit.Expander and mtakit.NameExpander. It may be used by several goroutines at once.
type Map struct {
	table mtakit.Table
	pos   mtakit.PositionTable // the same, if it knows positions
	opts  Options
}

// New gives an alias table its meaning. The table's keys are as newaliases stores them. When there are several
// tables, the first one that has a key wins: chain them.
func New(table mtakit.Table, opts Options) *Map {
	m := &Map{table: table, opts: opts}
	m.pos, _ = table.(mtakit.PositionTable)
	return m
}

// Expand implements mtakit.Expander for a local recipient; the domain of addr is not looked at. The keys are
// user+detail, user+* and user, in this order, the latter two only when there is a plus; a name with a backslash is
// never looked up. After that owner-KEY is looked up, which gives Expansion.Owner. A value without any member is
// found all the same, and empty. The local part may also be given as the local mailer gets it, in quotes.
func (m *Map) Expand(ctx context.Context, addr mtakit.Address) (x mtakit.Expansion, ok bool, err error) {
	ok, err = m.expand(ctx, addr.Local, !m.opts.PreserveDetail, &x)
	return x, ok, err
}

// ExpandName implements mtakit.NameExpander: it looks up name and nothing else.
func (m *Map) ExpandName(ctx context.Context, name string) (x mtakit.Expansion, ok bool, err error) {
	ok, err = m.expand(ctx, name, false, &x)
	return x, ok, err
}

// expand looks up the keys for local, and puts the answer into x.
func (m *Map) expand(ctx context.Context, local string, details bool, x *mtakit.Expansion) (ok bool, err error) {
	if local == "" || strings.IndexByte(local, '\\') >= 0 {
		return false, nil
	}
	tracing := mtakit.Tracing(ctx)
	if tracing {
		x.Step = mtakit.Step{Stage: "aliases", Input: local}
	}
	user := m.fold(keyOf(local))
	plus := -1
	if user != "" && details { // "" has the key of the null address, which may have an entry
		plus = strings.IndexByte(user[1:], '+') + 1
	}
	key := user
	for n := range 3 {
		switch {
		case n > 0 && plus <= 0:
			return false, nil
		case n == 1:
			key = user[:plus] + "+*"
		case n == 2:
			key = user[:plus]
		}
		if tracing {
			x.Step.Tried = append(x.Step.Tried, key)
		}
		value, pos, ok, err := m.lookup(ctx, key)
		if err != nil {
			*x = mtakit.Expansion{}
			return false, fmt.Errorf("aliases: %s: %w", key, err)
		}
		if !ok {
			continue
		}
		step := &x.Step
		step.Stage, step.Input, step.Key, step.Value, step.Pos = "aliases", local, key, value, pos
		x.To = mtakit.ParseList(value, pos)
		x.Owner, err = m.owner(ctx, key)
		return err == nil, err
	}
	return false, nil
}

// owner returns the envelope sender for mail to the members of key: the value of owner-key when it is one plain
// address, else the name owner-key itself, which is an alias then.
func (m *Map) owner(ctx context.Context, key string) (string, error) {
	name := "owner-" + key
	if strings.HasPrefix(key, "owner-") {
		name = "owner-owner"
	}
	value, _, ok, err := m.lookup(ctx, name)
	switch {
	case err != nil:
		return "", fmt.Errorf("aliases: %s: %w", name, err)
	case !ok:
		return "", nil
	case strings.ContainsAny(value, ",:/|\""):
		return name, nil
	}
	return strings.TrimSpace(value), nil
}

func (m *Map) lookup(ctx context.Context, key string) (value string, pos mtakit.Position, ok bool, err error) {
	if m.pos != nil {
		return m.pos.LookupPosition(ctx, key)
	}
	value, ok, err = m.table.Lookup(ctx, key)
	return value, mtakit.Position{}, ok, err
}

func (m *Map) fold(s string) string {
	if m.opts.KeepCase {
		return s
	}
	return lex.Fold(s)
}
