package mtakit

import (
	"context"
	"testing"
)

// What ParseAddress accepts prints as text that gives the same address again.
func FuzzParseAddress(f *testing.F) {
	f.Add("\"\\\x1a\\@\"")
	f.Add("\"\\\x00\\\\\"@d.test")
	for _, s := range []string{"ann@example.org", `"a b"@example.org`, "a@[IPv6:::1]", "γ@π.test", ".@x", `"\"\\"`, "a@b."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAddress(text)
		if err != nil {
			return
		}
		if a.IsNull() {
			t.Fatalf("%q is not the null reverse-path", text)
		}
		again, err := ParseAddress(a.String())
		if err != nil || again != a {
			t.Fatalf("%q gives %#v, which prints %q, which gives %#v, %v", text, a, a.String(), again, err)
		}
		path, rest, err := ParsePath(a.Path() + " X=1")
		if err != nil || path != a || rest != " X=1" {
			t.Fatalf("path of %#v gives %#v %q %v", a, path, rest, err)
		}
	})
}

// What ParseDestination accepts prints as text that gives the same destination again.
func FuzzParseDestination(f *testing.F) {
	for _, s := range []string{"ann", `\ann@b`, `"\a b"`, `"|x \"y\""`, "/a b", `"/a b"`, ":include:/x y", `":include:/x y"`,
		"error:5.1.1:550 x", "a <b@c>", "g:x;", "a@[1.2.3.4]", `a\"b`, `"\\a"`, "<@a:b@c>", "<@a:b@,>", `"""\/f\\"`, "a%b@c!d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDestination(text)
		if err != nil {
			return
		}
		again, err := ParseDestination(d.String())
		if err != nil || again != d {
			t.Fatalf("%q gives %#v, which prints %q, which gives %#v, %v", text, d, d.String(), again, err)
		}
	})
}

// fuzzResolver answers every question from a few bytes: which names are users, what they are aliases for, which tables
// fail.
func fuzzResolver(aliases, virtual, forward string) *Resolver {
	return &Resolver{
		Hostname:     "mx.test",
		LocalDomains: DomainSet{"d.test": true},
		Virtual: ExpanderFunc(func(_ context.Context, a Address) (Expansion, bool, error) {
			return Expansion{To: []Member{{To: Mailbox{}, Text: virtual}}}, virtual != "" && a.Local != "u", nil
		}),
		Aliases: ExpanderFunc(func(_ context.Context, a Address) (Expansion, bool, error) {
			return Expansion{To: ParseList(aliases, Position{})}, len(a.Local) > 0 && a.Local[0] < 'm', nil
		}),
		Accounts: AccountsFunc(func(_ context.Context, name string) (Account, bool, error) {
			return Account{Name: name}, len(name) > 0 && name[0]%3 != 0, nil
		}),
		Forward: fuzzForward(forward),
	}
}

type fuzzForward string

func (f fuzzForward) Forward(_ context.Context, a Account, _ string) (Expansion, bool, error) {
	return Expansion{To: ParseList(string(f), Position{})}, f != "" && len(a.Name)%2 == 0, nil
}

// No resolution ends empty; every leaf has a mailer or an error; and a recipient that is resolved stays where it is.
func FuzzResolve(f *testing.F) {
	f.Add("ann@d.test", "bob, carol", "", "")
	f.Add("ann", "ann, bob", "x@d.test", "ann")
	f.Add("a", "b, a", "", "a, \\a")
	f.Add("<@x:a%b@d.test>", "\"|p\", /f, :include:/x", "error", "\"")
	f.Add("a+b", "a+c, (x", "@", "u")
	f.Fuzz(func(t *testing.T, rcpt, aliases, virtual, forward string) {
		r := fuzzResolver(aliases, virtual, forward)
		ctx := context.Background()
		res, err := r.resolve(ctx, Address{}, rcpt, modeExpand)
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Leaves) == 0 {
			t.Fatalf("%q ends in nothing:\n%s", rcpt, res.Explain())
		}
		for i := range res.Leaves {
			l := &res.Leaves[i]
			if l.Route.Mailer == "" || l.Route.Mailer == MailerError && l.Err == nil || l.Route.Mailer == mailerInclude && l.Err == nil {
				t.Fatalf("%q: leaf without route: %+v", rcpt, *l)
			}
			if len(l.Steps()) == 0 {
				t.Fatalf("%q: leaf without steps: %+v", rcpt, *l)
			}
		}
		res.Explain()
		if _, err := res.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
		again, _ := r.resolve(ctx, Address{}, rcpt, modeExpand)
		if a, b := res.Explain(), again.Explain(); a != b {
			t.Fatalf("%q: different the second time:\n%s\n%s", rcpt, a, b)
		}
	})
}

// Resolving a recipient that is already resolved changes nothing: remote addresses, and \user, which is how a mailbox
// is named for good.
func FuzzResolveTwice(f *testing.F) {
	f.Add("ann@far.test")
	f.Add(`\ann`)
	f.Add(`"a b"@far.test`)
	f.Add("a!b@far.test")
	f.Fuzz(func(t *testing.T, rcpt string) {
		r := fuzzResolver("", "", "")
		ctx := context.Background()
		res, err := r.resolve(ctx, Address{}, rcpt, modeExpand)
		if err != nil {
			t.Fatal(err)
		}
		for i := range res.Leaves {
			l := &res.Leaves[i]
			if l.Err != nil || l.Route.Mailer != MailerESMTP {
				continue
			}
			if _, err := ParseAddress(l.Route.User); err != nil {
				continue // sendmail passes on what cannot be delivered; SMTP will not carry it
			}
			again, err := r.resolve(ctx, Address{}, l.Route.User, modeExpand)
			if err != nil || len(again.Leaves) != 1 || again.Leaves[0].Route != l.Route {
				t.Fatalf("%q goes to %+v, and from there to\n%s", rcpt, l.Route, again.Explain())
			}
		}
	})
}
