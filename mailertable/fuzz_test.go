package mailertable

import (
	"context"
	"testing"

	"github.com/mtakit/mtakit"
)

// Whatever value and address: an answer, and no endless search.
func FuzzRoute(f *testing.F) {
	for _, s := range []string{"esmtp:h", "x.y", ".x", "error:", "local:", "a:b@c@d", "\"", "[x]", ":", "<a>:b"} {
		f.Add(s, "joe+a", "d.test")
	}
	f.Fuzz(func(t *testing.T, value, local, domain string) {
		m := New(mtakit.TableFunc(func(context.Context, string) (string, bool, error) { return value, true, nil }))
		d, ok, err := m.Route(context.Background(), mtakit.Address{Local: local, Domain: domain})
		if ok && d.Route.Mailer == "" || err != nil && !ok {
			t.Fatalf("%q %q: %v %v %v", value, local, d, ok, err)
		}
	})
}
