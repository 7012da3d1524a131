package alias_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
)

var fuzzSeeds = []string{
	"", "\n", "a: b", "a: b\n", "# c\n\na: b, c\n d\nb:\\\n c\n", "\"a b\": c\n<d>: e\nF G <h>: i\n", " x\n\ty\n", "a\\\n\nb: c\n",
	"a: b\\\\\n\nc: d\n", "a: 1\nA: 2\na : 3\n", "(a: b\n\"a: b\n<a: b\na>: b\n", "@: x\na@localhost: y\na@b@c: z\n,a: b\n;: c\n",
	"postMaster: root\r\nx: \x00\n\xc3\x80: y\n\x01: z\n", strings.Repeat("k", 300) + ": v\n", "a: " + strings.Repeat("v", 9000) + "\nb: c\n",
}

// Whatever a file says: it comes back unchanged, All and Lookup agree, writing a value back changes nothing, and
// newaliases would store the same entries.
func FuzzParse(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, join bool) {
		p := alias.Parser{Append: join}
		file, _ := p.Parse(strings.NewReader(text), "f")
		if file == nil {
			t.Fatal("no file")
		}
		var b strings.Builder
		if _, err := file.WriteTo(&b); err != nil || b.String() != text {
			t.Fatalf("%q comes back as %q", text, b.String())
		}
		want := make(map[string]string)
		lines := strings.Count(text, "\n") + 1
		for e := range file.All() {
			if old, ok := want[e.Key]; ok && join {
				want[e.Key] = e.Value + "," + old
			} else {
				want[e.Key] = e.Value
			}
			if e.Pos.Line < 1 || e.Pos.Line > lines || e.Value == "" || strings.ContainsRune(e.Value, '\n') {
				t.Fatalf("%q has %+v", text, e)
			}
		}
		if len(want) != file.Len() {
			t.Fatalf("%q: %d keys in All, %d in the index", text, len(want), file.Len())
		}
		for key, value := range want {
			got, pos, ok, err := file.LookupPosition(context.Background(), key)
			if got != value || !ok || err != nil || pos.Line < 1 || pos.Line > lines {
				t.Fatalf("%q: %q is %q at %v, want %q", text, key, got, pos, value)
			}
			mtakit.ParseList(value, pos)
		}
		for e := range file.All() {
			if join || want[e.Key] != e.Value {
				continue
			}
			again, err := file.Set(e.Key, e.Value)
			if err != nil {
				continue // a value that cannot be written that way, such as one with a backslash at the end
			}
			if v, _, _ := again.Lookup(context.Background(), e.Key); v != e.Value || again.Len() != file.Len() {
				t.Fatalf("%q: setting %q to %q gives %q", text, e.Key, e.Value, v)
			}
		}
		stored := make(map[string]string)
		builder := alias.Builder{Parser: p}
		rep, err := builder.Build(strings.NewReader(text), "f", func(key, value string) error {
			stored[key] = value
			return nil
		})
		if err != nil || len(rep.Lines) == 0 {
			t.Fatal(rep, err)
		}
		want[alias.EndKey] = alias.EndKey
		if !maps.Equal(stored, want) {
			t.Fatalf("%q: newaliases stores %q, want %q", text, stored, want)
		}
		builder.CheckValues = true
		if _, err := builder.Build(strings.NewReader(text), "f", func(string, string) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
}

// Any name may be looked up.
func FuzzExpand(f *testing.F) {
	file, _ := alias.Parse(strings.NewReader(sample), "f")
	m := alias.New(file, alias.Options{})
	for _, s := range []string{"ann", "plus+x", "+", "++", `"`, `"a b"`, "a b", `\x`, "", "(", "A+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, local string) {
		ctx := mtakit.WithTracing(context.Background())
		x, ok, err := m.Expand(ctx, mtakit.Address{Local: local})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(x.Step.Tried); n > 3 || ok && (n == 0 || x.Step.Tried[n-1] != x.Step.Key) {
			t.Fatalf("%q: %+v", local, x.Step)
		}
	})
}
