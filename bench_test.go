package mtakit_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/virtuser"
)

// chain is a Resolver with a million aliases in memory, as a large site has them: the whole way of a local recipient,
// virtusertable, aliases, password file and forward file.
func chain(tb testing.TB, aliases int) *mtakit.Resolver {
	var text strings.Builder
	for i := range aliases {
		fmt.Fprintf(&text, "user%d: mailbox%d\n", i, i)
	}
	table, err := alias.Parse(strings.NewReader(text.String()), "aliases")
	if err != nil {
		tb.Fatal(err)
	}
	virtual, err := virtuser.Parse(strings.NewReader("info@example.org ann\nabuse@example.org ann\n"), "virtusertable")
	if err != nil {
		tb.Fatal(err)
	}
	accounts := map[string]mtakit.Account{"ann": {Name: "ann", UID: 1000, GID: 1000, Home: "/home/ann", Shell: "/bin/sh"}}
	return &mtakit.Resolver{
		Hostname:     "mx.example.org",
		LocalDomains: mtakit.DomainSet{"example.org": true},
		Virtual:      virtuser.New(virtual),
		Aliases:      alias.New(table, alias.Options{PreserveDetail: true}),
		Accounts: mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
			a, ok := accounts[name]
			if !ok && strings.HasPrefix(name, "mailbox") {
				a, ok = mtakit.Account{Name: name, UID: 1001, GID: 1001}, true
			}
			return a, ok, nil
		}),
		Forward: noForward{},
	}
}

const benchAliases = 1_000_000

type noForward struct{}

func (noForward) Forward(context.Context, mtakit.Account, string) (mtakit.Expansion, bool, error) {
	return mtakit.Expansion{}, false, nil
}

// A recipient with a mailbox, and neither a virtual address nor an alias nor a forward file: what a server answers for
// most RCPT commands.
func BenchmarkResolvePlain(b *testing.B) {
	r := chain(b, benchAliases)
	ctx, rcpt := context.Background(), mtakit.Address{Local: "ann", Domain: "example.org"}
	b.ReportAllocs()
	for b.Loop() {
		res, err := r.Resolve(ctx, mtakit.Address{}, rcpt)
		if err != nil || len(res.Leaves) != 1 || res.Leaves[0].Err != nil {
			b.Fatal(res, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "resolutions/s")
}

// A recipient with an alias that leads to a mailbox.
func BenchmarkResolveAlias(b *testing.B) {
	r := chain(b, benchAliases)
	ctx, rcpt := context.Background(), mtakit.Address{Local: "user123456", Domain: "example.org"}
	b.ReportAllocs()
	for b.Loop() {
		res, err := r.Resolve(ctx, mtakit.Address{}, rcpt)
		if err != nil || len(res.Leaves) != 1 || res.Leaves[0].Route.User != "mailbox123456" {
			b.Fatal(res, err)
		}
	}
}

// A recipient in another domain.
func BenchmarkResolveRemote(b *testing.B) {
	r := chain(b, 1000)
	ctx, rcpt := context.Background(), mtakit.Address{Local: "x", Domain: "far.example.net"}
	b.ReportAllocs()
	for b.Loop() {
		if res, err := r.Resolve(ctx, mtakit.Address{}, rcpt); err != nil || len(res.Leaves) != 1 {
			b.Fatal(res, err)
		}
	}
}

// A mailing list with a thousand members, half of them here.
func BenchmarkResolveList1000(b *testing.B) {
	var members []string
	for i := range 1000 {
		if i%2 == 0 {
			members = append(members, fmt.Sprintf("mailbox%d", i))
		} else {
			members = append(members, fmt.Sprintf("member%d@far%d.example.net", i, i%50))
		}
	}
	r := chain(b, 1000)
	r.Aliases = alias.New(mtakit.MapTable{"list": strings.Join(members, ", ")}, alias.Options{PreserveDetail: true})
	ctx, rcpt := context.Background(), mtakit.Address{Local: "list", Domain: "example.org"}
	b.ReportAllocs()
	for b.Loop() {
		if res, err := r.Resolve(ctx, mtakit.Address{}, rcpt); err != nil || len(res.Leaves) != 1000 {
			b.Fatal(len(res.Leaves), err)
		}
	}
}

func BenchmarkParseList(b *testing.B) {
	const text = `ann, bob@example.org, "Carol C." <carol@example.net>, "|/usr/bin/archive -x", \dan (not forwarded)`
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		mtakit.ParseList(text, mtakit.Position{})
	}
}
