package virtuser

import (
	"bytes"
	"context"
	"testing"

	"github.com/mtakit/mtakit"
)

// Unchanged in, unchanged out; and Lookup agrees with All.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@b c\n", "# x\r\n@b\t%1@c", " x\n", "a@b\n", "a@b c\na@B d\n", "\x00 \x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, _ := Parse(bytes.NewReader(text), "vt")
		var out bytes.Buffer
		if _, err := file.WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), text) {
			t.Fatalf("%q comes out as %q, %v", text, out.Bytes(), err)
		}
		for e := range file.All() {
			if _, pos, ok, _ := file.LookupPosition(context.Background(), e.Key); !ok || pos.Line > e.Pos.Line {
				t.Fatalf("%q: entry %v is not found: %v %v", text, e, pos, ok)
			}
		}
	})
}

// Whatever value and address: one member, or none.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{"joe", "%1@x", "error:", "error:5.1.1:550 x", `"`, "error: (", "\\x", "%", "<a@b"} {
		f.Add(s, "joe+a", "d.test")
	}
	f.Fuzz(func(t *testing.T, value, local, domain string) {
		m := New(mtakit.TableFunc(func(context.Context, string) (string, bool, error) { return value, true, nil }))
		x, ok, err := m.Expand(context.Background(), mtakit.Address{Local: local, Domain: domain})
		if err != nil || ok && (len(x.To) != 1 || x.To[0].To == nil) {
			t.Fatalf("%q %q: %v %v %v", value, local, x, ok, err)
		}
	})
}
