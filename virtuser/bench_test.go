package virtuser

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
)

// A site with 10,000 virtual addresses; the recipient is the last resort of its domain.
func BenchmarkExpand(b *testing.B) {
	f, _ := Parse(strings.NewReader(benchText(10_000)), "virtusertable")
	m := New(f)
	ctx, addr := context.Background(), mtakit.Address{Local: "someone+lists", Domain: "d77.test"}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := m.Expand(ctx, addr); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	text := benchText(10_000)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Parse(strings.NewReader(text), "virtusertable"); err != nil {
			b.Fatal(err)
		}
	}
}

func benchText(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "user%d@d%d.test\tmailbox%d\n", i, i%100, i)
		if i < 100 {
			fmt.Fprintf(&b, "@d%d.test\tcatchall%d\n", i, i)
		}
	}
	return b.String()
}
