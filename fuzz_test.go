package mtakit

import (
	"testing"
)

// What ParseAddress accepts prints as text that gives the same address again.
func FuzzParseAddress(f *testing.F) {
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
		"error:5.1.1:550 x", "a <b@c>", "g:x;", "a@[1.2.3.4]", `a\"b`, `"\\a"`, "<@a:b@c>", "a%b@c!d"} {
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
