package mx

import (
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// FuzzAnswer: whatever a name server sends, following its CNAMEs ends, and an answer is for the name where they end.
func FuzzAnswer(f *testing.F) {
	for _, zone := range [][]string{
		{"example.test. 300 IN MX 10 mx.example.test."},
		{"example.test. 300 IN CNAME a.test.", "a.test. 60 IN MX 5 ."},
		{"example.test. 300 IN CNAME example.test."},
		{"example.test. 300 IN CNAME b.test.", "b.test. 300 IN CNAME example.test."},
		{"EXAMPLE.test. 1 IN MX 0 MX.Example.TEST.", "other.test. 300 IN MX 10 evil.test."},
	} {
		m := new(dns.Msg)
		m.SetQuestion("example.test.", dns.TypeMX)
		m.Response = true
		for _, s := range zone {
			rr, err := dns.NewRR(s)
			require.NoError(f, err)
			m.Answer = append(m.Answer, rr)
		}
		b, err := m.Pack()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		c := chain{name: "example.test", secure: true, ttl: -1}
		a, err := c.follow(m, TypeMX, true)
		require.LessOrEqual(t, c.links, maxCNAMEs+1)
		if err != nil {
			require.Nil(t, a)
			return
		}
		if a == nil {
			require.NotEqual(t, "example.test", c.name, "asking again for the same name")
			return
		}
		require.Equal(t, c.name, a.Canonical)
		require.GreaterOrEqual(t, int64(a.TTL), int64(0))
		for _, r := range a.MX {
			require.Equal(t, plainName(r.Host), r.Host)
		}
	})
}
