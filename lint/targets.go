package lint

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/virtuser"
)

// targets follows every entry of aliases and virtusertable to its ends.
func (c *checker) targets() {
	for e := range c.t.Aliases.All() {
		if c.ctx.Err() != nil {
			return
		}
		c.follow(mtakit.Address{Local: e.Key}, e.Pos)
	}
	for e := range c.t.Virtual.All() {
		local, domain, ok := strings.Cut(e.Key, "@")
		if !ok || !c.t.isVirtual(domain) || c.ctx.Err() != nil {
			continue
		}
		probe := virtualProbes(local)[0]
		if local == "" && strings.Contains(e.Value, "%1") {
			continue // where a catch-all leads that keeps the local part depends on it
		}
		c.follow(mtakit.Address{Local: probe, Domain: domain}, e.Pos)
	}
}

// fault is a target that was told about.
type fault struct {
	pos  mtakit.Position
	addr mtakit.Address
}

// follow resolves addr, which the entry at pos answers, and tells about ends that no mail can reach.
func (c *checker) follow(addr mtakit.Address, pos mtakit.Position) {
	res, err := c.r.Resolve(c.ctx, mtakit.Address{}, addr)
	if err != nil {
		return
	}
	for _, report := range res.Reports {
		if strings.Contains(report.Err.Error(), "excessive recursion") {
			c.add(pos, Error, "loop", fmt.Sprintf("%s leads back to itself through the virtusertable", addr))
			return
		}
	}
	for i := range res.Leaves {
		l := &res.Leaves[i]
		var e *mtakit.Error
		if l.Err == nil || !errors.As(l.Err, &e) || e.Temporary() && !l.Lost {
			continue
		}
		at := c.origin(l, pos)
		if e.Status != mtakit.StatusLoop { // an entry is at fault once, however many lead to it
			this := fault{at, l.Addr}
			if c.seen[this] {
				continue
			}
			c.seen[this] = true
		}
		switch {
		case c.deliberate(l):
		case l.Lost || e.Status == mtakit.StatusLoop:
			c.add(at, Error, "loop", fmt.Sprintf("%s leads back to itself: %s", addr, e.Text))
		case e.Status == mtakit.StatusBadMailbox:
			c.add(at, Error, "dangling-target", fmt.Sprintf("%s: there is no user or alias %s", addr, l.Addr.Local))
		default:
			c.add(at, Error, "broken-target", fmt.Sprintf("%s: mail for %s is refused: %s", addr, l.Text, e.Text))
		}
	}
}

// origin is the place of the last entry on the way to a leaf.
func (c *checker) origin(l *mtakit.Leaf, pos mtakit.Position) mtakit.Position {
	for _, s := range l.Steps() {
		if s.Pos != (mtakit.Position{}) && s.Key != "" {
			pos = s.Pos
		}
	}
	return pos
}

// deliberate reports whether the failure is what the table says: error:…
func (c *checker) deliberate(l *mtakit.Leaf) bool {
	for _, s := range l.Steps() {
		v := strings.TrimLeft(s.Value, `" `)
		if s.Key != "" && len(v) > 6 && strings.EqualFold(v[:6], "error:") {
			return true
		}
	}
	return false
}

// postmaster must exist.
func (c *checker) postmaster() {
	res, err := c.r.Resolve(c.ctx, mtakit.Address{}, mtakit.Address{Local: "postmaster"})
	if err == nil && res.Err() != nil && !mtakit.Temporary(res.Err()) {
		c.add(mtakit.Position{}, Error, "no-postmaster", "mail for postmaster is refused: "+res.Err().Error())
	}
}

// catchAlls finds catch-all entries that take the mail of people who exist.
func (c *checker) catchAlls() {
	m := virtuser.New(c.t.Virtual)
	for e := range c.t.Virtual.All() {
		domain, ok := strings.CutPrefix(strings.ToLower(e.Key), "@")
		if !ok || !c.t.isLocal(domain) || keepsLocalPart(e.Value) {
			continue
		}
		var users, aliases []string
		taken := func(name string) bool {
			x, ok, err := m.Expand(c.ctx, mtakit.Address{Local: name, Domain: domain})
			return ok && err == nil && x.Step.Pos == e.Pos
		}
		for _, u := range c.t.Users {
			if u.person() && taken(u.Name) && !strings.EqualFold(u.Name, e.Value) {
				users = append(users, u.Name)
			}
		}
		for a := range c.t.Aliases.All() {
			if !strings.HasPrefix(a.Key, "owner-") && !strings.Contains(a.Key, "+") && taken(a.Key) && !strings.EqualFold(a.Key, e.Value) {
				aliases = append(aliases, a.Key)
			}
		}
		if len(users) > 0 {
			c.add(e.Pos, Warning, "catch-all", fmt.Sprintf("%s takes the mail of these users at %s: %s", e.Key, domain, names(users)))
		}
		if len(aliases) > 0 {
			c.add(e.Pos, Note, "catch-all", fmt.Sprintf("%s takes the mail of these aliases at %s: %s", e.Key, domain, names(aliases)))
		}
	}
}

// keepsLocalPart reports whether a value sends every local part to the same one somewhere else.
func keepsLocalPart(value string) bool { return strings.HasPrefix(value, "%1") }

// person reports whether the account is one that reads mail, and not a system account.
func (u *User) person() bool { return u.UID >= 500 && u.UID < 65534 }
