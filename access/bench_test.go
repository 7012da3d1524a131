package access

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

// blocklist is a table as sites have it: n networks, domains and addresses that are refused.
func blocklist(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "Connect:10.%d.%d\tREJECT\n", i>>8&255, i&255+256*(i>>16))
		case 1:
			fmt.Fprintf(&b, "From:host%d.spam.example\tERROR:5.7.1:550 Go away\n", i)
		case 2:
			fmt.Fprintf(&b, "From:user%d@bulk.example\tDISCARD\n", i)
		}
	}
	return b.Bytes()
}

// BenchmarkParse: the start of a server with 100 000 entries.
func BenchmarkParse(b *testing.B) {
	text := blocklist(100_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := Parse(bytes.NewReader(text), "access")
		require.NoError(b, err)
	}
}

// BenchmarkTransaction: the three questions for a message from a stranger to a local user, none of whom is listed, so
// that every key is tried.
func BenchmarkTransaction(b *testing.B) {
	f, err := Parse(bytes.NewReader(blocklist(100_000)), "access")
	require.NoError(b, err)
	p := Policy{Access: New(f, nil), Hostname: "mx.example.org", Local: mtakit.DomainSet{"example.org": true}, BlocklistRecipients: true}
	c := Client{Addr: netip.MustParseAddr("203.0.113.7"), Name: "mail.example.net", HELO: "mail.example.net"}
	from, to := mtakit.Address{Local: "joe", Domain: "example.net"}, mtakit.Address{Local: "ann", Domain: "example.org"}
	b.ReportAllocs()
	for b.Loop() {
		if p.Connect(b.Context(), c).Verdict|p.From(b.Context(), c, from).Verdict|p.To(b.Context(), c, from, to).Verdict != Accept {
			b.Fatal("refused")
		}
	}
}

// BenchmarkDomain: a host name of four labels that is not listed.
func BenchmarkDomain(b *testing.B) {
	f, err := Parse(bytes.NewReader(blocklist(100_000)), "access")
	require.NoError(b, err)
	m := New(f, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, _ := m.Domain(b.Context(), "Connect", Both, "a.mail.example.net"); ok {
			b.Fatal("found")
		}
	}
}
