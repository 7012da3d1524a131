package alias_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
)

// million is an aliases file of a big site: a million lines, 38 bytes each on average.
var million = sync.OnceValue(func() string {
	var b strings.Builder
	for i := range 1_000_000 {
		switch {
		case i%1000 == 0:
			fmt.Fprintf(&b, "# section %d\n", i/1000)
		case i%10 == 1:
			fmt.Fprintf(&b, "team-%d: user%d, user%d, other%d@example.org\n", i, i, i+1, i)
		default:
			fmt.Fprintf(&b, "first.last%d:\tuser%d@mail.example.org\n", i, i)
		}
	}
	return b.String()
})

// BenchmarkParse reads a file of a million lines: the start of a server, or a reload.
func BenchmarkParse(b *testing.B) {
	text := million()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		f, err := alias.Parse(strings.NewReader(text), "aliases")
		if err != nil || f.Len() == 0 {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseMemory reports what a parsed file costs in memory in relation to its size.
func BenchmarkParseMemory(b *testing.B) {
	text := million()
	var ratio float64
	for b.Loop() {
		ratio = residentRatio(b, text)
	}
	b.ReportMetric(ratio, "bytes/byte")
}

func residentRatio(tb testing.TB, text string) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := alias.Parse(strings.NewReader(text), "aliases")
	require.NoError(tb, err)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(f)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(len(text))
}

// BenchmarkLookup asks a file of a million lines for keys that are there and keys that are not.
func BenchmarkLookup(b *testing.B) {
	f, err := alias.Parse(strings.NewReader(million()), "aliases")
	require.NoError(b, err)
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprintf("first.last%d", i*1237%1_200_000)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, _, err := f.Lookup(context.Background(), keys[i%len(keys)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkExpand looks up local users beside a million aliases: one in ten has an alias, some have a detail.
func BenchmarkExpand(b *testing.B) {
	f, err := alias.Parse(strings.NewReader(million()), "aliases")
	require.NoError(b, err)
	m := alias.New(f, alias.Options{})
	addrs := make([]mtakit.Address, 1000)
	for i := range addrs {
		switch {
		case i%10 == 0:
			addrs[i].Local = fmt.Sprintf("first.last%d", i*997+2)
		case i%10 == 5:
			addrs[i].Local = fmt.Sprintf("user%d+lists", i)
		default:
			addrs[i].Local = fmt.Sprintf("user%d", i)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, _, err := m.Expand(context.Background(), addrs[i%len(addrs)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkExpandList expands a list of a thousand members.
func BenchmarkExpandList(b *testing.B) {
	var s strings.Builder
	s.WriteString("list: member0@example.org")
	for i := 1; i < 1000; i++ {
		fmt.Fprintf(&s, ", member%d@host%d.example.org", i, i%7)
	}
	p := alias.Parser{MaxLine: 1 << 20}
	f, err := p.Parse(strings.NewReader(s.String()), "aliases")
	require.NoError(b, err)
	m := alias.New(f, alias.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if x, ok, err := m.Expand(context.Background(), mtakit.Address{Local: "list"}); err != nil || !ok || len(x.To) != 1000 {
			b.Fatal(ok, err)
		}
	}
}
