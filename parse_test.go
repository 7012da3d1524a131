package mtakit_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mtakit/mtakit"
)

// Where the rules look for the host when an address has operators in odd places. The answers are those of sendmail -bt, ruleset
// 3,0, of the standard configuration.
func TestParseForms(t *testing.T) {
	r := &mtakit.Resolver{Hostname: "mx.example.org"}
	failed := func(code, text string) mtakit.Route {
		return mtakit.Route{Mailer: "error", Host: code, User: `"553 ` + text + `"`}
	}
	for text, want := range map[string]mtakit.Route{
		"h!a@":          failed("5.1.3", "Invalid route address"),
		"a%b@":          failed("5.1.3", "Hostname required"),
		"a@b@":          failed("5.1.2", "Invalid route address"),
		"@a":            failed("5.1.3", "User address required"),
		"@@":            failed("5.1.3", "Hostname required"),
		"@a%b":          {Mailer: "esmtp", Host: "b", User: "%a<@b>"},
		"!@a":           {Mailer: "esmtp", Host: "a", User: "!<@a>"},
		"@a!b%c":        {Mailer: "esmtp", Host: "a.UUCP.", User: "b%c<@a.UUCP.>"},
		"@mx.e!x":       {Mailer: "esmtp", Host: "mx.e.", User: "x<@mx.e.>"},
		"@!a":           failed("5.1.2", "Invalid host name"),
		"!a":            {Mailer: "local", User: "!a"},
		"!h!a":          {Mailer: "esmtp", Host: "!h.UUCP.", User: "a<@!h.UUCP.>"},
		"%":             {Mailer: "local", User: "<@>"},
		`"%"@localhost`: {Mailer: "local", User: "<@>"},
		`"a,b"`:         {Mailer: "local", User: "a,b"},
		`"a<b>c"`:       {Mailer: "local", User: "a<b>c"},
		"\xc9t\xe9":     {Mailer: "local", User: "\xc9t\xe9"},
	} {
		triple, _, _, _ := r.Parse(t.Context(), text)
		assert.Equal(t, want, triple, text)
	}
	_, route, _, err := r.Parse(t.Context(), `"<a.b>"`)
	assert.NoError(t, err)
	assert.Equal(t, mtakit.Route{Mailer: "local", User: "a.b"}, route, "delivery drops the brackets")
	_, route, _, _ = r.Parse(t.Context(), "\xc9T\xe9")
	assert.Equal(t, "\xc9t\xe9", route.User, "only ASCII letters are folded")
}
