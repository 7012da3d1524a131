package virtuser

import (
	"context"
	"testing"

	"github.com/mtakit/mtakit"
)

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
