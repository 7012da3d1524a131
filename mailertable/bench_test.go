package mailertable

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
)

// A site with 10,000 routes; the domain of the recipient has none.
func BenchmarkRoute(b *testing.B) {
	var text strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&text, "d%d.test\tesmtp:[h%d.example.net]\n", i, i)
	}
	f, _ := Parse(strings.NewReader(text.String()), "mailertable")
	m := New(f)
	ctx, addr := context.Background(), mtakit.Address{Local: "x", Domain: "mail.example.org"}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := m.Route(ctx, addr); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
