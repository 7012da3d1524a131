package smtp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bubble runs a test in a synctest bubble with a server on a network in memory. A goroutine that is left over at the end
// fails the test; so does one that would wait for ever.
func bubble(t *testing.T, o smtp.Options, f func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var network mailtest.Network
		srv := mailtest.NewUnstarted(t)
		srv.Network = &network
		srv.Start()
		o.Dial = network.Dial
		m := newMailer(t, o)
		f(t, srv, m)
	})
}

// Every stage has its time-out (RFC 5321 section 4.5.3.2).
func TestTimeouts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		stage     mailtest.Stage
		after     time.Duration
		uncertain bool
	}{
		{mailtest.OnConnect, 5 * time.Minute, false},
		{mailtest.OnHello, 5 * time.Minute, false},
		{mailtest.OnMail, 5 * time.Minute, false},
		{mailtest.OnRcpt, 5 * time.Minute, false},
		{mailtest.OnData, 2 * time.Minute, false},
		{mailtest.OnDot, 10 * time.Minute, true},
	} {
		t.Run(string(tt.stage), func(t *testing.T) {
			t.Parallel()
			bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
				srv.Always(tt.stage, mailtest.Hang())
				start := time.Now()
				r := m.Deliver(t.Context(), attempt(srv.Addr, text, "bob@sink.test"))[0]
				assert.Equal(t, tt.after, time.Since(start))
				assert.Equal(t, outcome{"4.4.2", "Connection timed out with [192.0.2.2]", "", true, tt.uncertain}, outcomeOf(r))
			})
		})
	}
}

// A server that stops reading in the middle of a long message.
func TestBlockTimeout(t *testing.T) {
	t.Parallel()
	bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
		srv.Always(mailtest.OnBody, mailtest.Step{After: 1000, Hang: true})
		start := time.Now()
		r := m.Deliver(t.Context(), attempt(srv.Addr, strings.Repeat(text, 10_000), "bob@sink.test"))[0]
		assert.WithinDuration(t, start.Add(3*time.Minute), time.Now(), 2*time.Second)
		assert.Equal(t, outcome{"4.4.2", "Connection timed out with [192.0.2.2]", "", true, false}, outcomeOf(r))
	})
}

// A slow server is not a dead one.
func TestSlow(t *testing.T) {
	t.Parallel()
	bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
		for _, st := range []mailtest.Stage{mailtest.OnConnect, mailtest.OnHello, mailtest.OnMail, mailtest.OnRcpt, mailtest.OnData, mailtest.OnDot} {
			srv.Always(st, mailtest.Delay(100*time.Second))
		}
		start := time.Now()
		r := m.Deliver(t.Context(), attempt(srv.Addr, text, "bob@sink.test"))[0]
		require.NoError(t, r.Err)
		assert.Equal(t, 600*time.Second, time.Since(start))
	})
}

// The end of the context ends the delivery at once, in whatever stage.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, stage := range []mailtest.Stage{mailtest.OnConnect, mailtest.OnHello, mailtest.OnMail, mailtest.OnRcpt, mailtest.OnData, mailtest.OnDot} {
		t.Run(string(stage), func(t *testing.T) {
			t.Parallel()
			bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
				srv.Always(stage, mailtest.Hang())
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				r := m.Deliver(ctx, attempt(srv.Addr, text, "bob@sink.test"))[0]
				assert.Equal(t, time.Second, time.Since(start))
				assert.True(t, mtakit.Temporary(r.Err))
				assert.Equal(t, stage == mailtest.OnDot, r.Uncertain)
			})
		})
	}
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			assert.True(t, mtakit.Temporary(m.Deliver(ctx, attempt(srv.Addr, text, "bob@sink.test"))[0].Err))
			assert.Empty(t, srv.Messages())
		})
	})
}

func TestReuse(t *testing.T) {
	t.Parallel()
	send := func(t *testing.T, m *smtp.Mailer, srv *mailtest.Server) {
		t.Helper()
		r := m.Deliver(t.Context(), attempt(srv.Addr, text, "bob@sink.test"))[0]
		require.NoError(t, r.Err, srv.Dialogue())
	}
	sessions := func(srv *mailtest.Server) (n []int) {
		for _, msg := range srv.Messages() {
			n = append(n, msg.Session)
		}
		return n
	}
	t.Run("idle time", func(t *testing.T) {
		bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
			send(t, m, srv)
			time.Sleep(14 * time.Second)
			send(t, m, srv)
			time.Sleep(16 * time.Second)
			assert.Contains(t, srv.Sessions()[0].String(), "C: QUIT")
			send(t, m, srv)
			assert.Equal(t, []int{1, 1, 2}, sessions(srv))
		})
	})
	t.Run("uses", func(t *testing.T) {
		bubble(t, smtp.Options{MaxUses: 2}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
			for range 5 {
				send(t, m, srv)
			}
			assert.Equal(t, []int{1, 1, 2, 2, 3}, sessions(srv))
		})
	})
	t.Run("age", func(t *testing.T) {
		bubble(t, smtp.Options{MaxAge: 25 * time.Second}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
			for range 4 {
				send(t, m, srv)
				time.Sleep(10 * time.Second)
			}
			assert.Equal(t, []int{1, 1, 1, 1}, sessions(srv)) // too old only when given back the next time
			send(t, m, srv)
			assert.Equal(t, 2, sessions(srv)[4])
		})
	})
	t.Run("none kept", func(t *testing.T) {
		bubble(t, smtp.Options{Idle: -1}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
			send(t, m, srv)
			send(t, m, srv)
			assert.Equal(t, []int{1, 2}, sessions(srv))
		})
	})
	t.Run("server hung up meanwhile", func(t *testing.T) {
		bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
			send(t, m, srv)
			srv.CloseClients()
			send(t, m, srv)
			assert.Equal(t, []int{1, 2}, sessions(srv))
		})
	})
	t.Run("421 to RSET", func(t *testing.T) {
		bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
			send(t, m, srv)
			srv.Script(mailtest.OnRset, mailtest.Reply("421 4.4.2 idle for too long"))
			send(t, m, srv)
			assert.Equal(t, []int{1, 2}, sessions(srv))
		})
	})
	t.Run("lockstep", func(t *testing.T) {
		bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
			srv.Extensions = []string{}
			send(t, m, srv)
			srv.CloseClients()
			send(t, m, srv)
			send(t, m, srv)
			assert.Equal(t, []int{1, 2, 2}, sessions(srv))
		})
	})
	t.Run("after the mailer was closed", func(t *testing.T) {
		bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
			send(t, m, srv)
			m.Close()
			synctest.Wait()
			assert.True(t, srv.Sessions()[0].Closed)
			send(t, m, srv)
			synctest.Wait()
			assert.True(t, srv.Sessions()[1].Closed)
		})
	})
}

// A server that ends each session after three messages, the fourth MAIL getting 421, costs no delivery.
func Test421AfterSome(t *testing.T) {
	t.Parallel()
	bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
		srv.MaxMessages = 3
		lost := 0
		for range 10 {
			if r := m.Deliver(t.Context(), attempt(srv.Addr, text, "bob@sink.test"))[0]; r.Err != nil {
				assert.Equal(t, "4.7.0", outcomeOf(r).Status)
				lost++
			}
		}
		assert.Equal(t, 10, len(srv.Messages())+lost)
		assert.Zero(t, lost, "a 421 to the MAIL of a reused session is tried again with a new one")
	})
}

// The message cannot be read to its end: the server must not get half of it as a whole one.
func TestBodyError(t *testing.T) {
	t.Parallel()
	bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
		a := attempt(srv.Addr, text, "bob@sink.test")
		broken := errors.New("disk on fire")
		a.Open = func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat(text, 5000)), errReader{broken})), nil
		}
		r := m.Deliver(t.Context(), a)[0]
		assert.ErrorIs(t, r.Err, broken)
		assert.Equal(t, "4.3.0", outcomeOf(r).Status)
		a.Open = func(context.Context) (io.ReadCloser, error) { return nil, broken }
		assert.ErrorIs(t, m.Deliver(t.Context(), a)[0].Err, broken)
		synctest.Wait()
		assert.Empty(t, srv.Messages())
	})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// The server refuses a message while it comes in, and hangs up.
func TestCutOff(t *testing.T) {
	t.Parallel()
	bubble(t, smtp.Options{}, func(t *testing.T, srv *mailtest.Server, m *smtp.Mailer) {
		long := strings.Repeat(text, 50_000)
		srv.Script(mailtest.OnBody, mailtest.Step{After: 2000, Reply: "552 5.3.4 too long", Drop: true})
		r := m.Deliver(t.Context(), attempt(srv.Addr, long, "bob@sink.test"))[0]
		assert.Equal(t, outcome{"5.3.4", "Service unavailable", "552 5.3.4 too long", false, false}, outcomeOf(r))
		srv.Script(mailtest.OnBody, mailtest.Step{After: 2000, Drop: true})
		r = m.Deliver(t.Context(), attempt(srv.Addr, long, "bob@sink.test"))[0]
		assert.Equal(t, outcome{"4.4.2", "Connection reset by [192.0.2.2]", "", true, false}, outcomeOf(r))
	})
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want outcome
	}{
		{"refused", syscall.ECONNREFUSED, outcome{"4.4.1", "Connection refused by mx.example.test.", "", true, false}},
		{"reset", syscall.ECONNRESET, outcome{"4.4.1", "Connection reset by mx.example.test.", "", true, false}},
		{"time-out", syscall.ETIMEDOUT, outcome{"4.4.1", "Connection timed out with mx.example.test.", "", true, false}},
		{"no route", syscall.EHOSTUNREACH, outcome{"4.4.1", "mx.example.test.: No route to host", "", true, false}},
		{"no network", syscall.ENETUNREACH, outcome{"4.4.1", "mx.example.test.: Network is unreachable", "", true, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone := mailtest.NewDNS(t, "example.test. IN MX 5 mx.example.test.\nmx.example.test. IN AAAA 2001:db8::25")
			m := newMailer(t, smtp.Options{Planner: planner(zone), Dial: func(_ context.Context, network, _ string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: network, Err: tt.err}
			}})
			r := m.Deliver(t.Context(), attempt("example.test", text, "bob@example.test"))[0]
			assert.Equal(t, tt.want, outcomeOf(r))
			assert.Equal(t, "mx.example.test. [IPv6:2001:db8:0:0:0:0:0:25]", r.Relay)
		})
	}
}

// The names, texts and statuses are sendmail 8.17.1's, asked about the same zone.
func TestDNSErrors(t *testing.T) {
	t.Parallel()
	zone := mailtest.NewDNS(t, `null.test. IN MX 0 .
bare.test. IN TXT "no address"
loop.test. IN MX 5 me.test.
mxgone.test. IN MX 5 x.gone.invalid.
mxbare.test. IN MX 5 bare.test.
mxfail.test. IN MX 5 fail.test.
`)
	zone.Behave("fail.test", "", mailtest.ServFail)
	p := planner(zone)
	p.Self = mtakit.DomainSet{"me.test": true}
	m := newMailer(t, smtp.Options{Planner: p})
	for _, tt := range []struct {
		hop, relay string
		want       outcome
	}{
		{"null.test", "null.test.", outcome{"5.1.10", "Service unavailable", "", false, false}},
		{"nx.test", "nx.test", outcome{"5.1.2", "Host unknown (Name server: nx.test: host not found)", "", false, false}},
		{"fail.test", "fail.test", outcome{"4.4.3", "Name server: fail.test: host name lookup failure", "", true, false}},
		{"loop.test", "loop.test.", outcome{"5.3.5", "Local configuration error", "", false, false}},
		{"bare.test", "bare.test", outcome{"5.1.2", "Host unknown (Name server: bare.test: no data known)", "", false, false}},
		{"mxgone.test", "x.gone.invalid.", outcome{"5.1.2", "Host unknown (Name server: x.gone.invalid.: host not found)", "", false, false}},
		{"mxbare.test", "bare.test.", outcome{"5.1.2", "Host unknown (Name server: bare.test.: no data known)", "", false, false}},
		{"mxfail.test", "fail.test.", outcome{"4.4.3", "Name server: fail.test.: host name lookup failure", "", true, false}},
		{"[nx.test]", "[nx.test]", outcome{"5.1.2", "Host unknown (Name server: [nx.test]: host not found)", "", false, false}},
		{"a..b", "a..b", outcome{"5.1.3", "Invalid host name", "", false, false}},
		{"host:0", "host:0", outcome{"4.3.5", "Local configuration error", "", true, false}},
		{"nx.test:fail.test", "nx.test:fail.test", outcome{"4.4.3", "Name server: nx.test:fail.test: host name lookup failure", "", true, false}},
	} {
		r := m.Deliver(t.Context(), attempt(tt.hop, text, "bob@example.test"))[0]
		assert.Equal(t, tt.want, outcomeOf(r), tt.hop)
		assert.Equal(t, tt.relay, r.Relay, tt.hop)
	}
}

// Whom the first exchanger does not take the next one gets, and only those.
func TestNextExchanger(t *testing.T) {
	t.Parallel()
	zone := mailtest.NewDNS(t, `example.test. IN MX 1 dead.example.test.
example.test. IN MX 5 a.example.test.
example.test. IN MX 9 b.example.test.
dead.example.test. IN A 192.0.2.1
a.example.test. IN A 192.0.2.5
b.example.test. IN A 192.0.2.9
`)
	var network mailtest.Network
	start := func(at string) *mailtest.Server {
		srv := mailtest.NewUnstarted(t)
		srv.Network, srv.Listen = &network, at
		srv.Start()
		return srv
	}
	a, b := start("192.0.2.5:25"), start("192.0.2.9:25")
	a.Recipient("later@example.test", mailtest.OnRcpt, mailtest.Reply("451 4.7.1 later"))
	a.Recipient("gone@example.test", mailtest.OnRcpt, mailtest.Reply("550 5.1.1 gone"))
	m := newMailer(t, smtp.Options{Planner: planner(zone), Dial: network.Dial})
	rs := m.Deliver(t.Context(), attempt("example.test", text, "ok@example.test", "later@example.test", "gone@example.test"))
	assert.Equal(t, "a.example.test. [192.0.2.5]", rs[0].Relay)
	assert.Equal(t, "b.example.test. [192.0.2.9]", rs[1].Relay)
	assert.NoError(t, rs[1].Err)
	assert.Equal(t, "5.1.1", outcomeOf(rs[2]).Status)
	assert.Equal(t, []string{"ok@example.test"}, a.Messages()[0].To())
	assert.Equal(t, []string{"later@example.test"}, b.Messages()[0].To())

	// Broken before the dot: the next one. After it: nobody, for the first may have it.
	a.Script(mailtest.OnData, mailtest.Drop())
	rs = m.Deliver(t.Context(), attempt("example.test", text, "ok@example.test"))
	require.NoError(t, rs[0].Err)
	assert.Equal(t, "b.example.test. [192.0.2.9]", rs[0].Relay)
	m.Close()
	a.Script(mailtest.OnDot, mailtest.Drop())
	rs = m.Deliver(t.Context(), attempt("example.test", text, "ok@example.test"))
	assert.True(t, rs[0].Uncertain)
	assert.Len(t, b.Messages(), 2)
}

func TestSTARTTLS(t *testing.T) {
	t.Parallel()
	ca := mailtest.NewCA()
	for _, tt := range []struct {
		name   string
		mode   smtp.TLSMode
		set    func(*mailtest.Server)
		host   string
		secure bool
		status string
	}{
		{"never", smtp.TLSNever, func(s *mailtest.Server) {}, "sink.test", false, ""},
		{"opportunistic", smtp.TLSOpportunistic, func(s *mailtest.Server) {}, "sink.test", true, ""},
		{"opportunistic, not offered", smtp.TLSOpportunistic, func(s *mailtest.Server) { s.STARTTLS = false }, "sink.test", false, ""},
		{"opportunistic, any certificate", smtp.TLSOpportunistic, func(s *mailtest.Server) { s.CA = nil }, "sink.test", true, ""},
		{"opportunistic, broken", smtp.TLSOpportunistic, func(s *mailtest.Server) { s.BadTLS = true }, "sink.test", false, ""},
		{"opportunistic, refused", smtp.TLSOpportunistic, func(s *mailtest.Server) {
			s.Always(mailtest.OnSTARTTLS, mailtest.Reply("454 4.7.0 not now"))
		}, "sink.test", false, ""},
		{"required", smtp.TLSRequired, func(s *mailtest.Server) { s.CA = nil }, "sink.test", true, ""},
		{"required, not offered", smtp.TLSRequired, func(s *mailtest.Server) { s.STARTTLS = false }, "sink.test", false, "4.7.0"},
		{"required, broken", smtp.TLSRequired, func(s *mailtest.Server) { s.BadTLS = true }, "sink.test", false, "4.7.0"},
		{"required, text injected", smtp.TLSRequired, func(s *mailtest.Server) {
			s.Always(mailtest.OnSTARTTLS, mailtest.Raw("220 go\r\n250 injected\r\n"))
		}, "sink.test", false, "4.5.0"},
		{"verified", smtp.TLSVerify, func(s *mailtest.Server) {}, "sink.test", true, ""},
		{"verified, wrong name", smtp.TLSVerify, func(s *mailtest.Server) {}, "other.test", false, "4.7.0"},
		{"verified, unknown authority", smtp.TLSVerify, func(s *mailtest.Server) { s.CA = nil }, "sink.test", false, "4.7.0"},
		{"verified, expired", smtp.TLSVerify, func(s *mailtest.Server) {
			s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ca.ExpiredCertificate("sink.test")}}
		}, "sink.test", false, "4.7.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var network mailtest.Network
			srv := mailtest.NewUnstarted(t)
			srv.Network, srv.Listen, srv.STARTTLS, srv.CA = &network, "192.0.2.5:25", true, ca
			tt.set(srv)
			srv.Start()
			zone := mailtest.NewDNS(t, "sink.test. IN A 192.0.2.5\nother.test. IN A 192.0.2.5")
			m := newMailer(t, smtp.Options{Dial: network.Dial, Planner: planner(zone), TLS: tt.mode, TLSConfig: ca.ClientConfig()})
			r := m.Deliver(t.Context(), attempt(tt.host, text, "bob@sink.test"))[0]
			if tt.status != "" {
				assert.Equal(t, tt.status, outcomeOf(r).Status)
				assert.True(t, outcomeOf(r).Temporary)
				assert.Empty(t, srv.Messages())
				return
			}
			require.NoError(t, r.Err, srv.Dialogue())
			assert.Equal(t, tt.secure, srv.Messages()[0].TLS)
		})
	}
}

// A server that sends a reply byte by byte gains no time with it.
func TestDrip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var network mailtest.Network
		l, err := network.Listen("192.0.2.2:25")
		require.NoError(t, err)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			for {
				if _, err := c.Write([]byte("2")); err != nil {
					return
				}
				time.Sleep(time.Minute)
			}
		}()
		m := newMailer(t, smtp.Options{Dial: network.Dial})
		start := time.Now()
		r := m.Deliver(t.Context(), attempt("192.0.2.2:25", text, "bob@sink.test"))[0]
		assert.Equal(t, 5*time.Minute, time.Since(start))
		assert.Equal(t, "Connection timed out with [192.0.2.2]", outcomeOf(r).Text)
		l.Close()
		time.Sleep(2 * time.Minute) // until the server has noticed
	})
}

// A dead exchanger costs its connect time-out once a minute, not once a message.
func TestDeadHost(t *testing.T) {
	t.Parallel()
	zone := records{
		"example.test MX": {Exists: true, MX: []mx.Record{{Preference: 1, Host: "dead.test"}, {Preference: 9, Host: "live.test"}}},
		"dead.test A":     {Exists: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		"live.test A":     {Exists: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}},
	}
	synctest.Test(t, func(t *testing.T) {
		var network mailtest.Network
		srv := mailtest.NewUnstarted(t)
		srv.Network, srv.Listen = &network, "192.0.2.2:25"
		srv.Start()
		var dialed []string
		m := newMailer(t, smtp.Options{Idle: -1, Planner: &mx.Planner{Resolver: zone}, Dial: func(ctx context.Context, kind, addr string) (net.Conn, error) {
			dialed = append(dialed, addr)
			if addr == "192.0.2.1:25" {
				<-ctx.Done()
				return nil, &net.OpError{Op: "dial", Net: kind, Err: ctx.Err()}
			}
			return network.Dial(ctx, kind, addr)
		}})
		send := func() time.Duration {
			start := time.Now()
			require.NoError(t, m.Deliver(t.Context(), attempt("example.test", text, "bob@example.test"))[0].Err)
			return time.Since(start)
		}
		assert.Equal(t, 30*time.Second, send())
		assert.Zero(t, send())
		time.Sleep(time.Minute)
		assert.Equal(t, 30*time.Second, send())
		assert.Equal(t, []string{"192.0.2.1:25", "192.0.2.2:25", "192.0.2.2:25", "192.0.2.1:25", "192.0.2.2:25"}, dialed)
		// When nobody else is left it is tried all the same.
		srv.Close()
		dialed = nil
		r := m.Deliver(t.Context(), attempt("example.test", text, "bob@example.test"))[0]
		assert.Equal(t, []string{"192.0.2.2:25", "192.0.2.1:25"}, dialed)
		assert.Equal(t, outcome{"4.4.1", "Connection timed out with dead.test.", "", true, false}, outcomeOf(r))
	})
}

// records is a mx.Resolver in memory.
type records map[string]*mx.Answer

func (r records) Lookup(_ context.Context, name string, t mx.Type) (*mx.Answer, error) {
	if a := r[name+" "+t.String()]; a != nil {
		return a, nil
	}
	return &mx.Answer{Exists: true, NegTTL: -1}, nil
}
