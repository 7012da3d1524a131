package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
)

// explanation is everything that there is to say about one address.
type explanation struct {
	Address    string             `json:"address"`
	From       string             `json:"from,omitempty"`
	Conclusion string             `json:"conclusion"`
	Checks     []check            `json:"checks,omitempty"`
	Resolution *mtakit.Resolution `json:"resolution"`
}

// check is one question to the access rules.
type check struct {
	Question string        `json:"question"` // "connect", "from", "to"
	About    string        `json:"about"`
	Verdict  string        `json:"verdict"`
	Reply    string        `json:"reply,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	Steps    []mtakit.Step `json:"steps,omitempty"`
	code     int
}

// explain is the command without a subcommand.
func (c *command) explain(ctx context.Context, addrs []string) (int, error) {
	if len(addrs) == 0 {
		return exUsage, errors.New("no address given; see -h")
	}
	if formats := count(c.json, c.html, c.text, c.bv); formats > 1 {
		return exUsage, errors.New("-json, -html, -text and -bv exclude each other")
	}
	from, err := parseFrom(c.from)
	if err != nil {
		return exUsage, fmt.Errorf("-from %s: %w", c.from, err)
	}
	client, err := c.clientOf(ctx)
	if err != nil {
		return exUsage, err
	}
	dir, err := c.directory()
	if err != nil {
		return exNoInput, err
	}
	tables, err := c.load(dir)
	if err != nil {
		return exNoInput, err
	}
	resolver := tables.Resolver()
	if c.data != nil {
		resolver.Router = relays{c.data.Relays, resolver.Router}
	}
	policy := tables.Policy()
	if c.dns {
		policy.DNS, policy.AcceptUnresolvable, policy.NoCanonify = net.DefaultResolver, false, false
	}
	code := 0
	var all []explanation
	for _, addr := range addrs {
		x := explanation{Address: addr, From: c.from}
		if c.client != "" {
			x.Checks = checks(ctx, policy, client, from.String(), strings.Trim(addr, "<>"))
		}
		if x.Resolution, err = resolver.ResolveText(mtakit.WithTracing(ctx), from, addr); err != nil {
			return exTempFail, err
		}
		x.Conclusion = x.conclude()
		all = append(all, x)
		code = worse(code, x.exit())
	}
	return code, c.print(all)
}

func (c *command) print(all []explanation) error {
	switch {
	case c.json:
		enc := json.NewEncoder(c.stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(all)
	case c.html:
		return printHTML(c.stdout, all)
	case c.bv:
		for _, x := range all {
			for _, line := range x.Resolution.Lines() {
				if _, err := fmt.Fprintln(c.stdout, line); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return printText(c.stdout, all)
}

func count(flags ...bool) (n int) {
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

// parseFrom reads the envelope sender, with or without angle brackets.
func parseFrom(s string) (mtakit.Address, error) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
	if s == "" {
		return mtakit.Address{}, nil
	}
	return mtakit.ParseAddress(s)
}

// clientOf makes the client that the flags describe.
func (c *command) clientOf(ctx context.Context) (access.Client, error) {
	if c.client == "" {
		if c.clientName != "" || c.helo != "" {
			return access.Client{}, errors.New("-client-name and -helo need -client")
		}
		return access.Client{}, nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(strings.Trim(c.client, "[]"), "IPv6:"), "."))
	if err != nil {
		return access.Client{}, fmt.Errorf("-client %s: not an IP address", c.client)
	}
	client := access.Client{Addr: addr, Verified: access.NameFail, HELO: c.helo}
	switch {
	case c.clientName != "":
		client.Name, client.PTR, client.Verified = c.clientName, c.clientName, access.NameOK
	case c.dns:
		client = access.Identify(ctx, net.DefaultResolver, addr)
		client.HELO = c.helo
	}
	return client, nil
}

// checks asks the three questions of an SMTP session. A refusal ends it.
func checks(ctx context.Context, p *access.Policy, client access.Client, from, to string) []check {
	var all []check
	ask := func(question, about string, d access.Decision) bool {
		c := check{Question: question, About: about, Verdict: d.Verdict.String(), Reason: d.Reason, Steps: d.Steps}
		if d.Err != nil {
			c.Reply = d.Err.Error()
			c.code = exNoPerm
			if d.Err.Temporary() {
				c.code = exTempFail
			}
		}
		all = append(all, c)
		return d.Err == nil
	}
	about := access.AddrKey(client.Addr)
	if client.Verified == access.NameOK {
		about = client.Name + " " + about
	}
	if ask("connect", about, p.Connect(ctx, client)) && ask("from", "<"+from+">", p.FromPath(ctx, client, from)) {
		ask("to", "<"+to+">", p.ToPath(ctx, client, from, to))
	}
	return all
}

// exit is the exit code for one address.
func (x *explanation) exit() int {
	for _, c := range x.Checks {
		if c.code != 0 {
			return c.code
		}
	}
	return x.Resolution.ExitStatus()
}

// worse keeps the first failure.
func worse(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// relays are the server's -relay flags, which go before the mailertable.
type relays struct {
	flags []string // domain=host:port
	table mtakit.Router
}

// Route implements mtakit.Router.
func (r relays) Route(ctx context.Context, addr mtakit.Address) (mtakit.Routing, bool, error) {
	for _, f := range r.flags {
		domain, host, _ := strings.Cut(f, "=")
		if strings.EqualFold(domain, addr.Domain) {
			return mtakit.Routing{
				Route: mtakit.Route{Mailer: mtakit.MailerRelay, Host: host, User: addr.String()},
				Step:  mtakit.Step{Stage: "relay", Input: addr.Domain, Tried: []string{domain}, Key: domain, Value: host, Note: "-relay flag"},
			}, true, nil
		}
	}
	return r.table.Route(ctx, addr)
}
