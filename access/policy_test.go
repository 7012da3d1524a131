package access_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
)

// stranger is a client with a proper name in a network that nobody trusts.
func stranger() access.Client {
	return access.Client{Addr: netip.MustParseAddr("203.0.113.9"), Name: "mail.stranger.test", HELO: "mail.stranger.test"}
}

func table(t testing.TB, text string, opt *access.Options) *access.Map {
	f, err := access.Parse(strings.NewReader(text), "access")
	require.NoError(t, err)
	return access.New(f, opt)
}

func addr(t testing.TB, s string) mtakit.Address {
	if s == "" {
		return mtakit.Address{}
	}
	a, err := mtakit.ParseAddress(s)
	require.NoError(t, err)
	return a
}

// The zero Policy is closed to strangers and open to this machine.
func TestZeroPolicy(t *testing.T) {
	var p access.Policy
	ctx := t.Context()
	assert.Equal(t, access.Accept, p.Connect(ctx, stranger()).Verdict)
	assert.Equal(t, access.Accept, p.From(ctx, stranger(), addr(t, "a@b.test")).Verdict)
	assert.Equal(t, access.Accept, p.From(ctx, stranger(), addr(t, "")).Verdict)
	d := p.To(ctx, stranger(), addr(t, "a@b.test"), addr(t, "c@d.test"))
	assert.Equal(t, access.Reject, d.Verdict)
	assert.Equal(t, "550 5.7.1 <c@d.test>... Relaying denied", d.Err.Error())
	for _, own := range []access.Client{{}, {Addr: netip.MustParseAddr("127.0.0.1")}, {Addr: netip.MustParseAddr("::1")}} {
		assert.Equal(t, access.Accept, p.To(ctx, own, addr(t, "a@b.test"), addr(t, "c@d.test")).Verdict)
	}
	assert.Equal(t, access.Accept, p.To(ctx, stranger(), addr(t, ""), addr(t, "ann@localhost")).Verdict)
	assert.Equal(t, access.Accept, p.To(ctx, stranger(), addr(t, ""), addr(t, "postmaster")).Verdict)
}

// Forms that name a second host must not slip past the relay check.
func TestNoRelayThroughTricks(t *testing.T) {
	p := access.Policy{Hostname: "mx.our.test", Local: mtakit.DomainSet{"our.test": true}, Access: table(t, "To:sub.test RELAY\n", nil)}
	for _, rcpt := range []string{
		"victim@far.test", "victim%far.test@our.test", "victim%far.test@sub.test", "far.test!victim", "far.test!victim@our.test",
		"@our.test:victim@far.test", "@our.test,@sub.test:victim@far.test", `"victim@far.test"@our.test`,
		`"victim%far.test"@our.test`, "victim%far.test%our.test", "a%b%far.test@sub.test", `"far.test!victim"@sub.test`,
		"victim@[198.51.100.1]", "victim@our.test.far.test", "victim@xour.test", "victim@far.test.", "<victim@far.test>",
	} {
		d := p.ToPath(t.Context(), stranger(), "a@b.test", rcpt)
		assert.Equal(t, access.Reject, d.Verdict, rcpt)
	}
	for _, rcpt := range []string{"ann@our.test", "ann@mx.our.test", "x@sub.test", "x@a.sub.test", "ann%our.test@sub.test", `"a b"@our.test`} {
		d := p.ToPath(t.Context(), stranger(), "a@b.test", rcpt)
		assert.Equal(t, access.Accept, d.Verdict, rcpt)
	}
}

func TestRelayByAuthentication(t *testing.T) {
	c := stranger()
	c.AuthMechanism, c.AuthUser = "PLAIN", "ann"
	ask := func(p access.Policy) access.Verdict {
		return p.To(t.Context(), c, addr(t, "a@b.test"), addr(t, "c@d.test")).Verdict
	}
	assert.Equal(t, access.Reject, ask(access.Policy{}), "no mechanism is trusted unless named")
	assert.Equal(t, access.Reject, ask(access.Policy{TrustedAuth: []string{"EXTERNAL"}}))
	assert.Equal(t, access.Accept, ask(access.Policy{TrustedAuth: []string{"EXTERNAL", "plain"}}))
	assert.Equal(t, access.Accept, ask(access.Policy{TrustedAuth: []string{"*"}}))
	blocked := access.Policy{TrustedAuth: []string{"*"}, BlocklistRecipients: true, Access: table(t, "To:d.test REJECT\n", nil)}
	assert.Equal(t, access.Reject, ask(blocked), "a blocked recipient stays blocked")
	delayed := access.Policy{TrustedAuth: []string{"*"}, DelayChecks: access.Delay, Access: table(t, "Connect:203 REJECT\n", nil)}
	assert.Equal(t, access.Accept, ask(delayed), "and delayed checks are spared")
}

// Whatever cannot be looked up gives a temporary failure, neither yes nor no.
func TestCannotTellIsTemporary(t *testing.T) {
	gone := errors.New("server is gone")
	table := mtakit.TableFunc(func(context.Context, string) (string, bool, error) { return "", false, gone })
	classes := domainsFunc(func(string) (bool, error) { return false, gone })
	mx := access.BackupMXFunc(func(context.Context, string) (bool, error) { return false, gone })
	from, to := addr(t, "a@b.test"), addr(t, "c@d.test")
	for name, d := range map[string]access.Decision{
		"table, client":    (&access.Policy{Access: access.New(table, nil)}).Connect(t.Context(), stranger()),
		"table, sender":    (&access.Policy{Access: access.New(table, nil)}).From(t.Context(), stranger(), from),
		"table, recipient": (&access.Policy{Access: access.New(table, nil)}).To(t.Context(), stranger(), from, to),
		"class w":          (&access.Policy{Local: classes}).To(t.Context(), stranger(), from, to),
		"MX list":          (&access.Policy{RelayMX: mx}).To(t.Context(), stranger(), from, to),
		"delayed": (&access.Policy{Access: access.New(table, nil), DelayChecks: access.DelayFriend}).
			To(t.Context(), stranger(), from, addr(t, "ann@localhost")),
	} {
		assert.Equal(t, access.TempFail, d.Verdict, name)
		require.NotNil(t, d.Err, name)
		assert.True(t, d.Err.Temporary(), name)
		assert.NotContains(t, d.Err.Text, "gone", "the cause is for the log")
		assert.ErrorIs(t, d.Err, gone, name)
	}
}

type domainsFunc func(string) (bool, error)

func (f domainsFunc) Contains(_ context.Context, domain string) (bool, error) { return f(domain) }

func TestDecisionExplains(t *testing.T) {
	p := access.Policy{Hostname: "mx.our.test", Access: table(t, "# head\nFrom:b.test REJECT\n", nil)}
	d := p.From(t.Context(), stranger(), addr(t, "a@sub.b.test"))
	require.Len(t, d.Steps, 3)
	last := d.Steps[2]
	assert.Equal(t, "access:2:1", last.Pos.String())
	assert.Equal(t, "from:b.test", last.Key)
	assert.Equal(t, []string{"from:sub.b.test", "sub.b.test", "from:b.test"}, last.Tried)
	assert.Equal(t, "entry from:b.test", d.Reason)
}

func TestGreetPause(t *testing.T) {
	p := access.Policy{Access: table(t, "GreetPause:stranger.test 3000\nGreetPause:203.0.113 1000\nGreetPause:198 x\n", nil), GreetPause: 5 * time.Second}
	c := stranger()
	pause, steps := p.GreetPauseFor(t.Context(), c)
	assert.Equal(t, 3*time.Second, pause)
	assert.NotEmpty(t, steps)
	c.Verified = access.NameFail
	pause, _ = p.GreetPauseFor(t.Context(), c)
	assert.Equal(t, time.Second, pause)
	c.Addr = netip.MustParseAddr("192.0.2.1")
	pause, _ = p.GreetPauseFor(t.Context(), c)
	assert.Equal(t, 5*time.Second, pause)
	c.Addr = netip.MustParseAddr("198.51.100.1")
	pause, _ = p.GreetPauseFor(t.Context(), c)
	assert.Zero(t, pause)
}

func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c access.Connections
		a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		count := func(addr netip.Addr) [2]int {
			rate, open := c.Open(addr)
			return [2]int{rate, open}
		}
		assert.Equal(t, [2]int{1, 1}, count(a))
		time.Sleep(30 * time.Second)
		assert.Equal(t, [2]int{2, 2}, count(a))
		assert.Equal(t, [2]int{1, 1}, count(b))
		c.Close(a)
		time.Sleep(30 * time.Second)
		assert.Equal(t, [2]int{2, 2}, count(a), "the first is a minute ago; the second is still open")
		time.Sleep(time.Hour)
		assert.Equal(t, [2]int{1, 3}, count(a))
	})
}

func TestOpenConnectionLimit(t *testing.T) {
	p := access.Policy{Access: table(t, "ClientConn:203.0.113 2\nClientConn: 10\n", nil), ConnControl: true}
	c := stranger()
	c.Open = 2
	assert.Equal(t, access.Accept, p.Connect(t.Context(), c).Verdict)
	c.Open = 3
	d := p.Connect(t.Context(), c)
	assert.Equal(t, "452 4.3.2 Too many open connections.", d.Err.Error())
	p.ControlClose = true
	assert.Equal(t, "421 4.3.2 Too many open connections.", p.Connect(t.Context(), c).Err.Error())
	p.DelayChecks = access.Delay
	assert.Equal(t, access.Accept, p.Connect(t.Context(), c).Verdict)
	p.ControlNow = true
	assert.Equal(t, access.TempFail, p.Connect(t.Context(), c).Verdict)
}
