package mtakit

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Address
		prints     string // "" means as text
		status     Status
		reason     string
	}{
		{name: "plain", text: "ann@example.org", want: Address{"ann", "example.org"}},
		{name: "local name", text: "ann", want: Address{"ann", ""}},
		{name: "trailing dot of the domain", text: "ann@example.org.", want: Address{"ann", "example.org"}, prints: "ann@example.org"},
		{name: "detail", text: "ann+lists@example.org", want: Address{"ann+lists", "example.org"}},
		{name: "quoted", text: `"ann lee"@example.org`, want: Address{"ann lee", "example.org"}},
		{name: "needless quotes", text: `"ann"@example.org`, want: Address{"ann", "example.org"}, prints: "ann@example.org"},
		{name: "at sign in quotes", text: `"a@b"@example.org`, want: Address{"a@b", "example.org"}},
		{name: "quoted pair", text: `"a\"\\b"@example.org`, want: Address{`a"\b`, "example.org"}},
		{name: "quoted alone", text: `"ann lee"`, want: Address{"ann lee", ""}},
		{name: "dots anywhere", text: "x..y.@example.org", want: Address{"x..y.", "example.org"}, prints: `"x..y."@example.org`},
		{name: "IPv4 literal", text: "ann@[192.0.2.1]", want: Address{"ann", "[192.0.2.1]"}},
		{name: "IPv6 literal", text: "ann@[IPv6:2001:db8::1]", want: Address{"ann", "[IPv6:2001:db8::1]"}},
		{name: "UTF-8", text: "γράμμα@παράδειγμα.test", want: Address{"γράμμα", "παράδειγμα.test"}},
		{name: "underscore in the domain", text: "x@a_b.test", want: Address{"x", "a_b.test"}},
		{name: "bang and percent", text: "a!b%c@example.org", want: Address{"a!b%c", "example.org"}},

		{name: "empty", text: "", status: 5_001_003, reason: "User address required"},
		{name: "empty quotes", text: `""@example.org`, status: 5_001_003, reason: "User address required"},
		{name: "no local part", text: "@example.org", status: 5_001_003, reason: "User address required"},
		{name: "no domain", text: "ann@", status: 5_001_003, reason: "Hostname required"},
		{name: "empty label", text: "ann@example..org", status: 5_001_002, reason: "Invalid host name"},
		{name: "leading dot", text: "ann@.example.org", status: 5_001_002, reason: "Invalid host name"},
		{name: "two at signs", text: "a@b@c", status: 5_001_002, reason: "Invalid host name"},
		{name: "blank", text: "ann lee@example.org", status: 5_001_003, reason: "Invalid characters in user name"},
		{name: "open quote", text: `"ann`, status: 5_000_000, reason: `Unbalanced '"'`},
		{name: "text after the quotes", text: `"ann"lee@example.org`, status: 5_001_003, reason: "Invalid characters in user name"},
		{name: "broken UTF-8", text: "a\xff@example.org", status: 5_001_003, reason: "Invalid characters in user name"},
		{name: "open literal", text: "ann@[192.0.2.1", status: 5_001_002, reason: "Invalid address"},
		{name: "bad IPv6 literal", text: "ann@[IPv6:192.0.2.1]", status: 5_001_002, reason: "Invalid address"},
		{name: "line end", text: "ann@example.org\r\n", status: 5_001_002, reason: "Invalid host name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := ParseAddress(tt.text)
			if tt.reason != "" {
				var e *Error
				require.True(t, errors.As(err, &e), "want an *Error, got %v", err)
				assert.Equal(t, tt.reason, e.Text)
				assert.Equal(t, tt.status, e.EnhancedStatus())
				assert.Equal(t, 553, e.ReplyCode())
				assert.False(t, e.Temporary())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, a)
			if tt.prints == "" {
				tt.prints = tt.text
			}
			assert.Equal(t, tt.prints, a.String())
		})
	}
}

func TestParsePath(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Address
		rest       string
		reason     string
	}{
		{name: "plain", text: "<ann@example.org>", want: Address{"ann", "example.org"}},
		{name: "null", text: "<>"},
		{name: "parameters", text: "<ann@example.org> SIZE=100", want: Address{"ann", "example.org"}, rest: " SIZE=100"},
		{name: "source route", text: "<@a.test,@b.test:ann@example.org>", want: Address{"ann", "example.org"}},
		{name: "bracket in quotes", text: `<"a>b"@example.org>`, want: Address{"a>b", "example.org"}},
		{name: "postmaster", text: "<postmaster>", want: Address{"postmaster", ""}},
		{name: "no brackets", text: "ann@example.org BODY=7BIT", want: Address{"ann", "example.org"}, rest: "BODY=7BIT"},
		{name: "open", text: "<ann@example.org", reason: "Unbalanced '<'"},
		{name: "no blank", text: "<ann@example.org>x", reason: "Blank required after '>'"},
		{name: "route without address", text: "<@a.test>", reason: "Invalid route address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, rest, err := ParsePath(tt.text)
			if tt.reason != "" {
				var e *Error
				require.True(t, errors.As(err, &e), "want an *Error, got %v", err)
				assert.Equal(t, tt.reason, e.Text)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, a)
			assert.Equal(t, tt.rest, rest)
		})
	}
}
