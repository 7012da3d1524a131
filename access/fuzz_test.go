package access

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// Whatever a value says, it means the same with blanks behind it and in small letters, and errors alone have a status.
func FuzzParseValue(f *testing.F) {
	for _, s := range []string{"OK", "ERROR:5.7.1:550 no", `ERROR:5.7.1:"550 a, b. c"`, "QUARANTINE:x . y", "REJECT (x", "550 a\x00b", "\xff:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		v := ParseValue(value)
		require.Equal(t, v.Kind, ParseValue(value+" ").Kind, "%q", value)
		require.Equal(t, v.Kind, ParseValue(lex.Fold(value)).Kind, "%q", value)
		if v.Status != "" {
			require.Equal(t, KindError, v.Kind, "%q", value)
		}
	})
}

// A stranger gets no mail to other domains through a policy that permits none, however the addresses are written, and
// every decision is complete: an error exactly for refusals, its code in the range that the verdict says.
func FuzzDecision(f *testing.F) {
	f.Add("a@b.test", "c@d.test", "x.test", "REJECT", uint16(0))
	f.Add("", "victim%far.test@our.test", "from:a@", "ERROR:5.7.1:550 no", uint16(1))
	f.Add("a@localhost", "@our.test:c@d.test", "connect:203.0", "DISCARD", uint16(2))
	f.Add(`"a b"@[192.0.2.1]`, `"c@d.test"@our.test`, "to:our.test", "QUARANTINE:x", uint16(0xffff))
	f.Add("host!user", "a!b@c%d", "spam:our.test", "FRIEND", uint16(0x0123))
	f.Fuzz(func(t *testing.T, from, to, key, value string, bits uint16) {
		p := policyOf(bits)
		if v := ParseValue(value); v.Kind == KindRelay {
			value = "OK"
		}
		p.Access = New(mtakit.MapTable{lex.Fold(key): value}, &Options{Skip: bits&1 != 0, LookupDotDomain: bits&2 != 0})
		c := Client{Addr: netip.MustParseAddr("203.0.113.9"), Name: "mail.stranger.test", HELO: from, Verified: NameStatus(bits >> 14)}
		connect := p.Connect(t.Context(), c)
		sender := p.FromPath(t.Context(), c, from)
		rcpt := p.ToPath(t.Context(), c, from, to)
		for _, d := range []Decision{connect, sender, rcpt} {
			refused := d.Verdict == Reject || d.Verdict == TempFail
			require.Equal(t, refused, d.Err != nil)
			if refused {
				require.Equal(t, d.Verdict == TempFail, d.Err.Temporary())
				require.NotContains(t, d.Err.Text, "\n", "a reply is one line")
			}
		}
		if rcpt.Verdict != Accept && rcpt.Verdict != Quarantine {
			return
		}
		e := &eval{p: p, ctx: t.Context(), c: &c}
		a, fault, err := e.canon(to)
		require.NoError(t, err)
		require.Nil(t, fault)
		local, _ := p.isLocal(t.Context(), a.domain)
		assert.True(t, a.domain == "" || local, "%q was accepted: %q at %q", to, a.local, a.domain)
	})
}

// policyOf makes a Policy of switches, without any that permit strangers to relay.
func policyOf(bits uint16) *Policy {
	bit := func(n int) bool { return bits>>n&1 != 0 }
	return &Policy{
		Hostname: "mx.our.test", Local: mtakit.DomainSet{"our.test": true},
		DelayChecks: DelayChecks(bits >> 2 & 3), BlocklistRecipients: bit(4), AcceptUnqualified: bit(5), RequireRDNS: bit(6),
		BlockBadHELO: bit(7), RelayHostsOnly: bit(8), RelayEntireDomain: false, LooseRelayCheck: bit(9), RateControl: bit(10),
		ConnControl: bit(11), UseClientPTR: bit(12),
	}
}
