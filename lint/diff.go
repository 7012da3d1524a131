package lint

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mtakit/mtakit"
)

// Change is an address whose mail goes elsewhere.
type Change struct {
	Addr     string             // as it was asked about
	Old, New *mtakit.Resolution // where mail went, and where it goes now
}

// Outcome is what becomes of mail for an address, in a form that can be compared: a line for each delivery or failure,
// sorted. It says everything that a sender or a recipient can tell apart, and nothing about how it came to that.
func Outcome(r *mtakit.Resolution) []string {
	lines := make([]string, 0, len(r.Leaves))
	for i := range r.Leaves {
		lines = append(lines, outcome(&r.Leaves[i]))
	}
	slices.Sort(lines)
	return lines
}

func outcome(l *mtakit.Leaf) string {
	var b strings.Builder
	switch {
	case l.Err == nil:
		fmt.Fprintf(&b, "mailer %s", l.Route.Mailer)
		if l.Route.Host != "" {
			fmt.Fprintf(&b, ", host %s", l.Route.Host)
		}
		fmt.Fprintf(&b, ", user %s", l.Route.User)
		if l.Route.Mailer == mtakit.MailerProgram || l.Route.Mailer == mtakit.MailerFile {
			if l.Control.User != "" && !l.Control.Alias {
				fmt.Fprintf(&b, ", as %s", l.Control.User)
			}
		}
	case mtakit.Temporary(l.Err):
		fmt.Fprintf(&b, "deferred %s: %v", l.Text, l.Err)
	default:
		fmt.Fprintf(&b, "failed %s: %v", l.Text, l.Err)
	}
	if l.Owner != "" {
		fmt.Fprintf(&b, ", sender %s", l.Owner)
	}
	return b.String()
}

// Same reports whether mail ends in the same places.
func Same(a, b *mtakit.Resolution) bool { return slices.Equal(Outcome(a), Outcome(b)) }

// Diff resolves each address on both sides and returns those whose outcome differs, in the order given. The error is that
// of ctx.
func Diff(ctx context.Context, before, after *mtakit.Resolver, addrs []string) ([]Change, error) {
	var changes []Change
	for _, addr := range addrs {
		a, err := before.ResolveText(ctx, mtakit.Address{}, addr)
		if err != nil {
			return nil, err
		}
		b, err := after.ResolveText(ctx, mtakit.Address{}, addr)
		if err != nil {
			return nil, err
		}
		if !Same(a, b) {
			changes = append(changes, Change{addr, a, b})
		}
	}
	return changes, nil
}

// Addresses returns the addresses that some table speaks of, in any of the directories, and their neighbours: the same
// name with a detail, at every local domain, a name at a domain and in its subdomains that nobody has. They are sorted.
// A change that no table speaks of, such as one in a forward file of a user, can only be found by giving its address.
func Addresses(all ...*Tables) []string {
	set := map[string]bool{}
	locals := map[string]bool{}
	people := map[string]bool{somebody: true, "postmaster": true}
	for _, t := range all {
		for d := range t.local {
			locals[d] = true
		}
		for _, d := range t.opt.VirtualDomains {
			locals[strings.ToLower(d)] = true
		}
		for _, u := range t.Users {
			people[quoteName(u.Name)] = true
		}
		for e := range t.Aliases.All() {
			name := strings.TrimSuffix(e.Key, "+*")
			people[quoteName(name)] = true
		}
		for e := range t.Virtual.All() {
			local, domain, ok := strings.Cut(strings.ToLower(e.Key), "@")
			if !ok {
				continue
			}
			local = strings.TrimSuffix(strings.TrimSuffix(local, "++"), "+*")
			if local == "" {
				local = somebody
			}
			for _, l := range []string{local, local + "+", local + "+x"} {
				set[quoteName(l)+"@"+domain] = true
			}
		}
		for e := range t.Mailer.All() {
			domain := strings.ToLower(e.Key)
			switch {
			case domain == ".":
				domain = "example.invalid"
			case domain[0] == '.':
				set[somebody+"@"+domain[1:]] = true
				domain = "x" + domain
			}
			set[somebody+"@"+domain] = true
			set[somebody+"@x."+domain] = true
		}
	}
	for p := range people {
		set[p] = true
		set[p+"+x"] = !strings.HasPrefix(p, `"`)
		for d := range locals {
			set[p+"@"+d] = true
		}
	}
	for d := range locals {
		set[somebody+"+x@"+d] = true
	}
	addrs := make([]string, 0, len(set))
	for a, ok := range set {
		if ok {
			addrs = append(addrs, a)
		}
	}
	slices.Sort(addrs)
	return addrs
}

// quoteName quotes a local part that address rules would take apart.
func quoteName(name string) string {
	if strings.ContainsAny(name, "()<>:;@,\\[] \t") && !strings.HasPrefix(name, `"`) {
		return `"` + strings.ReplaceAll(strings.ReplaceAll(name, `\`, `\\`), `"`, `\"`) + `"`
	}
	return name
}
