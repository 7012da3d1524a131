package smtp_test

import (
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRoundTrip sends a thousand messages of every kind by SMTP and by LMTP, and some in other ways, four at a time, and
// wants them back byte for byte.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*mailtest.Server, *smtp.Options){
		"SMTP":     func(*mailtest.Server, *smtp.Options) {},
		"LMTP":     func(s *mailtest.Server, o *smtp.Options) { s.LMTP, o.LMTP = true, true },
		"STARTTLS": func(s *mailtest.Server, o *smtp.Options) { s.STARTTLS, o.TLS = true, smtp.TLSRequired },
		"lockstep": func(s *mailtest.Server, _ *smtp.Options) { s.Extensions = []string{"SMTPUTF8", "8BITMIME"} },
		"one by one": func(_ *mailtest.Server, o *smtp.Options) {
			o.MaxRcpts, o.MaxUses = 1, 1
		},
		"Unix socket": func(s *mailtest.Server, o *smtp.Options) { s.LMTP, o.LMTP, s.Unix = true, true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 200
			if name == "SMTP" || name == "LMTP" {
				n = 1000
			}
			if testing.Short() {
				n = 100
			}
			srv := mailtest.NewUnstarted(t)
			var o smtp.Options
			set(srv, &o)
			srv.Start()
			roundTrip(t, srv, newMailer(t, o), n, o.MaxRcpts == 1)
		})
	}
}

// samples are the messages of the round trips, made once.
var samples = sync.OnceValue(func() []mailtest.Sample { return slices.Collect(mailtest.Messages(1, 1000)) })

func roundTrip(t *testing.T, srv *mailtest.Server, m *smtp.Mailer, n int, single bool) {
	want := make(map[string]mailtest.Sample) // by ENVID, or by the unique sender of lock-step servers
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	rcpts := 0
	for _, s := range samples()[:n] {
		id := strconv.Itoa(len(want))
		want[id] = s
		rcpts += len(s.To)
		a := attempt(srv.Addr, s.Text, s.To...)
		a.SMTPUTF8 = s.SMTPUTF8
		if a.From = (mtakit.Address{}); s.From != "" {
			a.From = addr(s.From)
		}
		a.From.Local, a.From.Domain = "id"+id, "example.org"
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			for _, r := range m.Deliver(t.Context(), a) {
				assert.NoError(t, r.Err)
			}
			<-slots
		}()
	}
	wg.Wait()
	got := srv.Messages()
	if single {
		require.Len(t, got, rcpts)
	} else {
		require.Len(t, got, n)
	}
	for _, msg := range got {
		s := want[msg.From[2:len(msg.From)-len("@example.org")]]
		if string(msg.Data) != s.CRLF() {
			t.Errorf("message %s of kind %s is not what was sent: %d bytes, want %d", msg.From, s.Kind, len(msg.Data), len(s.CRLF()))
		}
		if !single {
			assert.Equal(t, addrs(s.To), msg.To())
		}
	}
}

// addrs prints addresses as the mailer does.
func addrs(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, addr(s).String())
	}
	return out
}

func TestHopForms(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewServer(t)
	_, port, err := net.SplitHostPort(srv.Addr)
	require.NoError(t, err)
	zone := mailtest.NewDNS(t, `
example.test.     300 IN MX 10 dead.example.test.
example.test.     300 IN MX 20 mx.example.test.
mx.example.test.  300 IN A 127.0.0.1
dead.example.test. 300 IN A 127.0.0.2
`)
	n, err := strconv.ParseUint(port, 10, 16)
	require.NoError(t, err)
	m := newMailer(t, smtp.Options{Planner: planner(zone), Port: uint16(n)})
	for _, tt := range []struct{ hop, relay string }{
		{"example.test", "mx.example.test. [127.0.0.1]"},
		{"Example.TEST.", "mx.example.test. [127.0.0.1]"},
		{"[mx.example.test]", "mx.example.test. [127.0.0.1]"},
		{"[127.0.0.1]", "[127.0.0.1] [127.0.0.1]"},
		{"127.0.0.1:" + port, "[127.0.0.1] [127.0.0.1]"},
		{"[127.0.0.1]:" + port, "[127.0.0.1] [127.0.0.1]"},
		{"localhost:" + port, "localhost. [127.0.0.1]"},
		{"mx.example.test:" + port, "mx.example.test. [127.0.0.1]"},
		{"nowhere.test:example.test", "mx.example.test. [127.0.0.1]"},
		{"[127.0.0.1]:1:[127.0.0.1]:" + port, "[127.0.0.1] [127.0.0.1]"},
		{"", "mx.example.test. [127.0.0.1]"},
	} {
		r := m.Deliver(t.Context(), attempt(tt.hop, text, "bob@example.test"))[0]
		if assert.NoError(t, r.Err, tt.hop) {
			assert.Equal(t, tt.relay, r.Relay, tt.hop)
		}
	}
}
