package mta

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/mailtest"
)

const (
	stranger = "198.51.100.7"
	local    = "127.0.0.1"
)

// TestRelaying: strangers reach our own users and the domains we relay for, and nobody else, however they spell it.
func TestRelaying(t *testing.T) {
	t.Parallel()
	m := newMTA(t, map[string]string{
		"etc/access":        "Connect:127.0.0.1\tRELAY\nConnect:198.51.100.9\tRELAY\n",
		"etc/relay-domains": "friend.example\n",
	})
	tests := []struct{ client, rcpt, want string }{
		{stranger, "<ann@example.test>", "250 2.1.5 <ann@example.test>... Recipient ok"},
		{stranger, "<team@EXAMPLE.TEST>", "250 2.1.5 <team@EXAMPLE.TEST>... Recipient ok"},
		{stranger, "<postmaster>", "250 2.1.5 <postmaster>... Recipient ok"},
		{stranger, "<x@friend.example>", "250 2.1.5 <x@friend.example>... Recipient ok"},
		{stranger, "<x@deep.friend.example>", "250 2.1.5 <x@deep.friend.example>... Recipient ok"},
		{stranger, "<nobody@example.test>", "550 5.1.1 <nobody@example.test>... User unknown"},
		{stranger, "<eve@elsewhere.example>", "550 5.7.1 <eve@elsewhere.example>... Relaying denied"},
		{stranger, "<eve@[192.0.2.1]>", "550 5.7.1 <eve@[192.0.2.1]>... Relaying denied"},
		{stranger, "<@example.test:eve@elsewhere.example>", "550 5.7.1 "},
		{stranger, "<eve%elsewhere.example@example.test>", "550 5.7.1 "},
		{stranger, "<elsewhere.example!eve@example.test>", "550 5.7.1 "},
		{stranger, `<"eve@elsewhere.example"@example.test>`, "55"},
		{stranger, `<"|id"@example.test>`, "55"},
		{stranger, `</etc/passwd@example.test>`, "55"},
		{stranger, `<:include:/etc/passwd>`, "55"},
		{local, "<eve@elsewhere.example>", "250 2.1.5 <eve@elsewhere.example>... Recipient ok"},
		{"198.51.100.9", "<eve@elsewhere.example>", "250 2.1.5 <eve@elsewhere.example>... Recipient ok"},
		{"198.51.100.90", "<eve@elsewhere.example>", "550 5.7.1 "},
	}
	for _, tt := range tests {
		t.Run(tt.client+" "+tt.rcpt, func(t *testing.T) {
			got := talk(t, m, tt.client, "EHLO client.example", "MAIL FROM:<a@client.example>", "RCPT TO:"+tt.rcpt, "QUIT")[2]
			assert.Truef(t, strings.HasPrefix(got, tt.want), "%s", got)
		})
	}
	// Our domain in the sender makes nobody one of us.
	got := talk(t, m, stranger, "EHLO client.example", "MAIL FROM:<ann@example.test>", "RCPT TO:<eve@elsewhere.example>", "QUIT")
	assert.Contains(t, got[2], "550 5.7.1 ")
	// Nor are strangers told who is here.
	got = talk(t, m, stranger, "VRFY ann", "EXPN team", "QUIT")
	assert.Equal(t, []string{"252 2.5.2 Cannot VRFY user; try RCPT to attempt delivery (or try finger)", "502 5.7.0 Sorry, we do not allow this operation"}, got[:2])
	assert.Empty(t, queued(t, m))
}

// TestVerdicts: what the access table says about clients, senders and recipients.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	m := newMTA(t, map[string]string{"etc/access": "Connect:198.51.100.1\tDISCARD\n" +
		"Connect:198.51.100.2\tREJECT\n" +
		"Connect:198.51.100.3\tERROR:4.3.2:421 Not today\n" +
		"From:hole@client.example\tDISCARD\n" +
		"From:odd@client.example\tQUARANTINE:looks odd\n" +
		"To:hole@example.test\tDISCARD\n" +
		"To:ann@example.test\tOK\n"})
	t.Run("client discarded", func(t *testing.T) {
		_, last := send(t, m, "198.51.100.1", "<a@client.example>", "<ann@example.test>")
		assert.Regexp(t, `^250 2\.0\.0 \w+ Message accepted for delivery$`, last)
		assert.Empty(t, mailOf(t, m, "ann"))
	})
	t.Run("client rejected", func(t *testing.T) {
		got := talk(t, m, "198.51.100.2", "EHLO client.example", "MAIL FROM:<a@client.example>", "QUIT")
		assert.Contains(t, got[1], "550 5.7.1 Access denied")
	})
	t.Run("client sent away leaves no count behind", func(t *testing.T) {
		for range 3 {
			talk(t, m, "198.51.100.3")
		}
		_, open := m.clients.Open(mustIP("198.51.100.3"))
		m.clients.Close(mustIP("198.51.100.3"))
		assert.Equal(t, 1, open)
	})
	t.Run("sender discarded", func(t *testing.T) {
		_, last := send(t, m, stranger, "<hole@client.example>", "<ann@example.test>")
		assert.Contains(t, last, "250 2.0.0")
		assert.Empty(t, mailOf(t, m, "ann"))
	})
	t.Run("sender quarantined", func(t *testing.T) {
		_, last := send(t, m, stranger, "<odd@client.example>", "<ann@example.test>", "<bob@example.test>")
		assert.Contains(t, last, "250 2.0.0")
		assert.Empty(t, mailOf(t, m, "ann"))
		names := queued(t, m)
		require.NotEmpty(t, names)
		for _, n := range names {
			assert.Truef(t, strings.HasPrefix(n, "hf"), "%s is not held", n)
		}
		eventually(t, "the log says so", func() bool { return strings.Contains(log(t, m), "quarantine=looks odd") })
	})
}

// TestTrace: the Received field, as sendmail writes it, with what the client said in the places that are safe for it.
func TestTrace(t *testing.T) {
	t.Parallel()
	m := newMTA(t, nil)
	send(t, m, stranger, "<a@client.example>", "<ann@example.test>")
	got := mailOf(t, m, "ann")
	require.Len(t, got, 1)
	assert.Regexp(t, `(?s)^Return-Path: <a@client\.example>\nReceived: from client\.example \(client\.example \[198\.51\.100\.7\]\)\n`+
		`\tby mx\.example\.test \(mtakit[^)]*\) with ESMTP id \w{14}\n\tfor <ann@example\.test>; \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [-+]\d{4}\nSubject: test\n\nthe text\n$`, got[0])

	// Several recipients do not learn of each other.
	send(t, m, stranger, "<a@client.example>", "<bob@example.test>", "<carol@example.test>")
	assert.NotContains(t, mailOf(t, m, "bob")[0], "carol")
	assert.NotContains(t, mailOf(t, m, "bob")[0], "\tfor ")
}

// TestUTF8: an address that is not ASCII needs SMTPUTF8, and the message is marked.
func TestUTF8(t *testing.T) {
	t.Parallel()
	sink := mailtest.NewServer(t)
	m := newMTA(t, map[string]string{"etc/passwd": passwdABCD + "grüße:x:1:1::DATA/home/gr:/bin/sh\n"}, relayTo("partner.test", sink.Addr))
	run(t, m)
	rcpts, _ := send(t, m, local, "<a@client.example>", "<grüße@example.test>", "<ann@example.test>")
	assert.Contains(t, rcpts[0], "553 5.6.7")
	_, last := send(t, m, local, "<ä@client.example> SMTPUTF8", "<grüße@example.test>")
	assert.Contains(t, last, "250 2.0.0")
	got := contents(t, filepath.Join(m.cfg.Data, "home", "grüße", "Maildir", "new"))
	require.Len(t, got, 1)
	assert.Contains(t, got[0], "with UTF8SMTP id")
	assert.Contains(t, got[0], "Return-Path: <ä@client.example>")
}

// TestDSNParameters: what the client asked for reaches the next hop unchanged, whether the message was queued or handed on
// while the client waited.
func TestDSNParameters(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"true", "interactive"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			sink := mailtest.NewServer(t)
			m := newMTA(t, nil, relayTo("partner.test", sink.Addr), func(c *Config) { c.SuperSafe = mode })
			run(t, m)
			for i := range 2 { // the second time, the next hop is known
				_, last := send(t, m, local, "<a@client.example> RET=HDRS ENVID=id+2B+0A1", "<eve@partner.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;e+2Bve@partner.test",
					"<mia@partner.test> NOTIFY=NEVER", "<joe@partner.test>")
				assert.Contains(t, last, "250 2.0.0")
				eventually(t, "the sink has it", func() bool { return sink.Count() == i+1 })
			}
			for _, msg := range sink.Messages() {
				assert.Contains(t, msg.Params, "RET=HDRS")
				assert.Contains(t, msg.Params, "ENVID=id+2B+0A1")
				params := map[string]string{}
				for _, r := range msg.Rcpts {
					params[r.Addr] = r.Params
				}
				assert.Contains(t, params["eve@partner.test"], "NOTIFY=SUCCESS,DELAY")
				assert.Contains(t, params["eve@partner.test"], "ORCPT=rfc822;e+2Bve@partner.test")
				assert.Contains(t, params["mia@partner.test"], "NOTIFY=NEVER")
				assert.NotContains(t, params["joe@partner.test"], "NOTIFY")
			}
		})
	}
}

// TestManyMembers: everybody on a long list gets one copy, though some are there twice, and the list's failures go to its
// owner.
func TestManyMembers(t *testing.T) {
	t.Parallel()
	sink := mailtest.NewServer(t)
	sink.Recipient("m500@partner.test", mailtest.OnRcpt, mailtest.Reply("550 5.1.1 Gone away"))
	list := "ann\n"
	for i := range 1000 {
		list += fmt.Sprintf("m%d@partner.test\n", i)
	}
	m := newMTA(t, map[string]string{"etc/aliases": "owner-crowd: bob\npostmaster: carol\nother: crowd, ann\ncrowd: :include:DATA/crowd\n", "crowd": list},
		relayTo("partner.test", sink.Addr))
	run(t, m)
	_, last := send(t, m, local, "<carol@example.test>", "<crowd@example.test>", "<other@example.test>", "<ann@example.test>")
	assert.Contains(t, last, "250 2.0.0")
	eventually(t, "all have it", func() bool { return len(mailOf(t, m, "bob")) == 1 && len(queued(t, m)) == 0 })
	seen := map[string]int{}
	for _, msg := range sink.Messages() {
		assert.Equal(t, "bob@mx.example.test", qualified(msg.From))
		for _, a := range msg.To() {
			seen[a]++
		}
	}
	assert.Len(t, seen, 999)
	for a, n := range seen {
		assert.Equalf(t, 1, n, "%s", a)
	}
	assert.Len(t, mailOf(t, m, "ann"), 1)
	assert.Contains(t, mailOf(t, m, "bob")[0], "Final-Recipient: rfc822")
	assert.Contains(t, mailOf(t, m, "bob")[0], "m500@partner.test")
	assert.Empty(t, mailOf(t, m, "carol"), "the sender of a message to a list does not hear of the list's failures")
}

func qualified(addr string) string {
	if !strings.Contains(addr, "@") {
		addr += "@mx.example.test"
	}
	return addr
}

// TestUnsafeForward: a forward file that is skipped is no secret of the server's.
func TestUnsafeForward(t *testing.T) {
	t.Parallel()
	m := newMTA(t, map[string]string{"home/ann/.forward": "bob\n"})
	require.NoError(t, os.Chmod(filepath.Join(m.cfg.Data, "home/ann/.forward"), 0o666))
	_, last := send(t, m, local, "<a@client.example>", "<ann@example.test>")
	assert.Contains(t, last, "250 2.0.0")
	assert.Len(t, mailOf(t, m, "ann"), 1)
	eventually(t, "the log says so", func() bool { return strings.Contains(log(t, m), ".forward") })
}

func mustIP(s string) netip.Addr { return netip.MustParseAddr(s) }
