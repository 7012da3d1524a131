package mx_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const clientZone = `
example.test. 3600 IN SOA ns.example.test. hostmaster.example.test. 1 7200 900 1209600 60
example.test. 300 IN MX 10 mx.example.test.
mx.example.test. 120 IN A 192.0.2.1
`

func newClient(zone *mailtest.DNS) *mx.Client {
	return mx.NewClient(&mx.ClientOptions{Servers: []string{zone.Addr}, Timeout: 5 * time.Second, Attempts: 1})
}

var oneMX = []mx.Record{{Preference: 10, Host: "mx.example.test"}}

func TestClientBehaviours(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		behaviour mailtest.Behaviour
		ok        bool
		queries   []string
	}{
		{"", true, []string{"example.test. MX"}},
		{mailtest.Truncate, true, []string{"example.test. MX", "example.test. MX tcp"}},
		{mailtest.NoEDNS, true, []string{"example.test. MX", "example.test. MX"}},
		{mailtest.WrongID, true, []string{"example.test. MX"}},
		{mailtest.FormErr, false, []string{"example.test. MX", "example.test. MX"}},
		{mailtest.NotImp, false, []string{"example.test. MX", "example.test. MX"}},
		{mailtest.ServFail, false, []string{"example.test. MX"}},
		{mailtest.Refused, false, []string{"example.test. MX"}},
	} {
		t.Run(string(tt.behaviour), func(t *testing.T) {
			t.Parallel()
			zone := mailtest.NewDNS(t, clientZone)
			zone.Behave("example.test", "MX", tt.behaviour)
			a, err := newClient(zone).Lookup(t.Context(), "example.test", mx.TypeMX)
			if tt.ok {
				require.NoError(t, err)
				assert.Equal(t, oneMX, a.MX)
				assert.Equal(t, 300*time.Second, a.TTL)
			} else {
				require.Error(t, err)
				assert.Contains(t, err.Error(), "example.test MX at "+zone.Addr)
			}
			assert.Equal(t, tt.queries, zone.Queries())
		})
	}
}

// Garbage and silence end with the time-out, and the next server is asked.
func TestClientNextServer(t *testing.T) {
	t.Parallel()
	for _, b := range []mailtest.Behaviour{mailtest.Timeout, mailtest.Garbage, mailtest.ServFail, mailtest.Refused} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			bad, good := mailtest.NewDNS(t, ""), mailtest.NewDNS(t, clientZone)
			bad.Behave("example.test", "", b)
			c := mx.NewClient(&mx.ClientOptions{Servers: []string{bad.Addr, good.Addr}, Timeout: mailtest.DNSTimeout})
			a, err := c.Lookup(t.Context(), "example.test", mx.TypeMX)
			require.NoError(t, err)
			assert.Equal(t, oneMX, a.MX)
			assert.NotEmpty(t, bad.Queries())
		})
	}
}

func TestClientContext(t *testing.T) {
	t.Parallel()
	zone := mailtest.NewDNS(t, clientZone)
	zone.Behave("example.test", "MX", mailtest.Timeout)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := newClient(zone).Lookup(ctx, "example.test", mx.TypeMX)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(start), 4*time.Second)
}

// A server that leaves the end of a CNAME chain to the client, and AD only from whom it is trusted.
func TestClientChain(t *testing.T) {
	t.Parallel()
	zone := mailtest.NewDNS(t, "alias.test. 60 IN CNAME example.test.\n"+clientZone)
	zone.Secure("test")
	c := newClient(zone)
	a, err := c.Lookup(t.Context(), "alias.test", mx.TypeMX)
	require.NoError(t, err)
	assert.Equal(t, &mx.Answer{Exists: true, Canonical: "example.test", MX: oneMX, TTL: time.Minute, NegTTL: -1, Secure: true}, a)
	a, err = c.Lookup(t.Context(), "alias.test", mx.TypeAAAA)
	require.NoError(t, err)
	assert.Equal(t, "example.test", a.Canonical)
	assert.Empty(t, a.Addrs)
	assert.Equal(t, time.Minute, a.NegTTL)

	lazy := mailtest.NewDNS(t, "alias.test. 60 IN CNAME mx.example.test.\nmx.example.test. 30 IN A 192.0.2.1")
	lazy.Behave("alias.test", "A", mailtest.Lazy)
	a, err = newClient(lazy).Lookup(t.Context(), "alias.test", mx.TypeA)
	require.NoError(t, err)
	assert.Equal(t, []netip.Addr{netip.MustParseAddr("192.0.2.1")}, a.Addrs)
	assert.Equal(t, 30*time.Second, a.TTL)
}

func TestClientHosts(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "hosts")
	require.NoError(t, os.WriteFile(file, []byte(`# comment
192.0.2.7	mx.Example.test. mx # also this
2001:db8::7 mx.example.test
fe80::1%eth0 link
bad line
`), 0o600))
	zone := mailtest.NewDNS(t, clientZone)
	c := mx.NewClient(&mx.ClientOptions{Servers: []string{zone.Addr}, Hosts: file})
	for name, want := range map[string][2]string{
		"mx.example.test": {"[192.0.2.7]", "[2001:db8::7]"}, "mx": {"[192.0.2.7]", "[]"}, "link": {"[]", "[]"},
	} {
		for i, typ := range []mx.Type{mx.TypeA, mx.TypeAAAA} {
			a, err := c.Lookup(t.Context(), name, typ)
			require.NoError(t, err)
			assert.Equal(t, want[i], addrList(a.Addrs), "%s %v", name, typ)
		}
	}
}

func addrList(addrs []netip.Addr) string {
	s := "["
	for i, a := range addrs {
		if i > 0 {
			s += " "
		}
		s += a.String()
	}
	return s + "]"
}

func TestClientResolvConf(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(file, []byte("search corp.test\noptions timeout:7 attempts:1\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"), 0o600))
	var asked []string
	c := mx.NewClient(&mx.ClientOptions{ResolvConf: file, Hosts: "-", Dial: func(_ context.Context, network, addr string) (net.Conn, error) {
		asked = append(asked, network+" "+addr)
		return nil, net.ErrClosed
	}})
	_, err := c.Lookup(t.Context(), "short", mx.TypeMX)
	require.ErrorIs(t, err, net.ErrClosed)
	assert.Equal(t, []string{"udp 192.0.2.53:53", "udp [2001:db8::53]:53"}, asked)
}

// Files that change while the program runs are read again, some seconds later.
func TestClientReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	resolv, hosts := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "hosts")
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	write(resolv, "nameserver 192.0.2.53\n")
	synctest.Test(t, func(t *testing.T) {
		var asked string
		c := mx.NewClient(&mx.ClientOptions{ResolvConf: resolv, Hosts: hosts, Attempts: 1, Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
			asked = addr
			return nil, net.ErrClosed
		}})
		c.Lookup(t.Context(), "mx.test", mx.TypeA)
		assert.Equal(t, "192.0.2.53:53", asked)
		write(resolv, "nameserver 192.0.2.153\n")
		c.Lookup(t.Context(), "mx.test", mx.TypeA)
		assert.Equal(t, "192.0.2.53:53", asked, "not looked at again so soon")
		time.Sleep(5 * time.Second)
		c.Lookup(t.Context(), "mx.test", mx.TypeA)
		assert.Equal(t, "192.0.2.153:53", asked)
		write(hosts, "192.0.2.7 mx.test\n")
		time.Sleep(5 * time.Second)
		a, err := c.Lookup(t.Context(), "mx.test", mx.TypeA)
		require.NoError(t, err)
		assert.Equal(t, "[192.0.2.7]", addrList(a.Addrs))
		require.NoError(t, os.Remove(resolv))
		time.Sleep(5 * time.Second)
		c.Lookup(t.Context(), "other.test", mx.TypeA)
		assert.Equal(t, "192.0.2.153:53", asked, "a file that is gone for a moment changes nothing")
	})
}

// counting is a Resolver that counts, and answers what it is told.
type counting struct {
	n      atomic.Int32
	answer mx.Answer
	err    error
	delay  time.Duration
}

func (c *counting) Lookup(ctx context.Context, _ string, _ mx.Type) (*mx.Answer, error) {
	c.n.Add(1)
	select {
	case <-time.After(c.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.err != nil {
		return nil, c.err
	}
	a := c.answer
	return &a, nil
}

func TestCache(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer mx.Answer
		err    error
		kept   time.Duration
	}{
		{"records", mx.Answer{Exists: true, MX: oneMX, TTL: time.Hour}, nil, time.Hour},
		{"short-lived", mx.Answer{Exists: true, MX: oneMX, TTL: 0}, nil, 5 * time.Second},
		{"long-lived", mx.Answer{Exists: true, MX: oneMX, TTL: 1000 * time.Hour}, nil, 24 * time.Hour},
		{"no records", mx.Answer{Exists: true, NegTTL: time.Minute}, nil, time.Minute},
		{"no such name", mx.Answer{NegTTL: 1000 * time.Hour}, nil, 3 * time.Hour},
		{"no such name, no SOA", mx.Answer{NegTTL: -1}, nil, 0},
		{"failure", mx.Answer{}, net.ErrClosed, 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &counting{answer: tt.answer, err: tt.err}
				c := mx.NewCache(r, nil)
				ask := func() {
					_, err := c.Lookup(t.Context(), "example.test", mx.TypeMX)
					assert.Equal(t, tt.err, err)
				}
				ask()
				if tt.kept > 0 {
					time.Sleep(tt.kept - time.Millisecond)
					ask()
					assert.EqualValues(t, 1, r.n.Load())
				}
				time.Sleep(2 * time.Millisecond)
				ask()
				assert.EqualValues(t, 2, r.n.Load())
				c.Lookup(t.Context(), "example.test", mx.TypeA)
				assert.EqualValues(t, 3, r.n.Load(), "another type is another question")
			})
		})
	}
}

// Equal questions at one time are one, and whoever gives up does not spoil it for the others.
func TestCacheTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &counting{answer: mx.Answer{Exists: true, MX: oneMX, TTL: time.Hour}, delay: time.Second}
		c := mx.NewCache(r, nil)
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Lookup(impatient, "example.test", mx.TypeMX)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
		synctest.Wait()
		for range 50 {
			wg.Go(func() {
				a, err := c.Lookup(t.Context(), "example.test", mx.TypeMX)
				if assert.NoError(t, err) {
					assert.Equal(t, oneMX, a.MX)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 2, r.n.Load())
	})
}

func TestCacheSize(t *testing.T) {
	t.Parallel()
	r := &counting{answer: mx.Answer{Exists: true, MX: oneMX, TTL: time.Hour}}
	c := mx.NewCache(r, &mx.CacheOptions{MaxEntries: 50})
	for i := range 500 {
		_, err := c.Lookup(t.Context(), string(rune('a'+i%26))+string(rune('a'+i/26))+".test", mx.TypeMX)
		require.NoError(t, err)
	}
	assert.EqualValues(t, 500, r.n.Load())
	_, err := c.Lookup(t.Context(), string(rune('a'+499%26))+string(rune('a'+499/26))+".test", mx.TypeMX)
	require.NoError(t, err)
	assert.EqualValues(t, 500, r.n.Load(), "the newest answer is still there")
}
