package smtp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outcome is what a log line would show of a Result.
type outcome struct {
	Status, Text, Reply string
	Temporary           bool
	Uncertain           bool
}

func outcomeOf(r mtakit.Result) outcome {
	o := outcome{Reply: r.Reply, Temporary: mtakit.Temporary(r.Err), Uncertain: r.Uncertain}
	if e, ok := r.Err.(*mtakit.Error); ok {
		o.Status, o.Text = e.EnhancedStatus().String(), e.Text
	}
	return o
}

func TestReplies(t *testing.T) {
	t.Parallel()
	type steps = map[mailtest.Stage]mailtest.Step
	const host = "[192.0.2.2]"
	for _, tt := range []struct {
		name  string
		steps steps
		want  outcome
	}{
		{"accepted", nil, outcome{Reply: "Ok: message 1.1"}},
		{"accepted, several lines", steps{mailtest.OnDot: mailtest.Reply("250 2.6.0 first\n250 2.6.0 second")}, outcome{Reply: "first"}},
		{"accepted, no text", steps{mailtest.OnDot: mailtest.Raw("250\r\n")}, outcome{Reply: ""}},
		{"accepted, LF only", steps{mailtest.OnDot: mailtest.Raw("250 2.0.0 fine\n")}, outcome{Reply: "fine"}},
		{"251 and 252 accept, too", steps{mailtest.OnRcpt: mailtest.Reply("251 2.1.5 will forward")}, outcome{Reply: "Ok: message 1.1"}},

		{"unknown user", steps{mailtest.OnRcpt: mailtest.Reply("550 5.1.1 <bob@sink.test>: unknown")},
			outcome{"5.1.1", "User unknown", "550 5.1.1 <bob@sink.test>: unknown", false, false}},
		{"unknown user, no status", steps{mailtest.OnRcpt: mailtest.Reply("550 no such user")},
			outcome{"5.1.1", "User unknown", "550 no such user", false, false}},
		{"moved", steps{mailtest.OnRcpt: mailtest.Reply("551 gone")}, outcome{"5.1.6", "User unknown", "551 gone", false, false}},
		{"bad name", steps{mailtest.OnRcpt: mailtest.Reply("553 what")}, outcome{"5.1.3", "User unknown", "553 what", false, false}},
		{"status of another class", steps{mailtest.OnRcpt: mailtest.Reply("550 4.2.1 odd")}, outcome{"5.1.1", "User unknown", "550 4.2.1 odd", false, false}},
		{"full for good", steps{mailtest.OnRcpt: mailtest.Reply("552 too much")}, outcome{"5.2.2", "Service unavailable", "552 too much", false, false}},
		{"policy", steps{mailtest.OnRcpt: mailtest.Reply("554 5.7.1 no")}, outcome{"5.7.1", "Service unavailable", "554 5.7.1 no", false, false}},
		{"greylisted", steps{mailtest.OnRcpt: mailtest.Reply("451 4.7.1 later")}, outcome{"4.7.1", "later", "451 4.7.1 later", true, false}},
		{"full for now", steps{mailtest.OnRcpt: mailtest.Reply("452 4.2.2 mailbox full")}, outcome{"4.2.2", "mailbox full", "452 4.2.2 mailbox full", true, false}},
		{"first line only", steps{mailtest.OnRcpt: mailtest.Reply("451 4.3.0 first\n451 4.3.0 second")}, outcome{"4.3.0", "first", "451-4.3.0 first", true, false}},
		{"control characters", steps{mailtest.OnRcpt: mailtest.Raw("450 a\x00b\x1bc\r\n")}, outcome{"4.2.0", "a?b?c", "450 a?b?c", true, false}},

		{"sender refused", steps{mailtest.OnMail: mailtest.Reply("550 5.7.1 by policy")}, outcome{"5.7.1", "Service unavailable", "550 5.7.1 by policy", false, false}},
		{"sender syntax", steps{mailtest.OnMail: mailtest.Reply("501 5.1.7 bad sender")}, outcome{"5.1.7", "Data format error", "501 5.1.7 bad sender", false, false}},
		{"sender deferred", steps{mailtest.OnMail: mailtest.Reply("451 4.7.1 not now")}, outcome{"4.7.1", "not now", "451 4.7.1 not now", true, false}},
		{"421 to MAIL", steps{mailtest.OnMail: mailtest.Reply("421 4.3.2 going down")}, outcome{"4.0.0", "going down", "421 4.3.2 going down", true, false}},
		{"421 to RCPT", steps{mailtest.OnRcpt: mailtest.Reply("421 going down")}, outcome{"4.0.0", "going down", "421 going down", true, false}},
		{"DATA refused", steps{mailtest.OnData: mailtest.Reply("554 5.6.0 no")}, outcome{"5.0.0", "Service unavailable", "554 5.6.0 no", false, false}},
		{"DATA deferred", steps{mailtest.OnData: mailtest.Reply("452 4.3.1 out of storage")}, outcome{"4.0.0", "out of storage", "452 4.3.1 out of storage", true, false}},
		{"DATA answered with 250", steps{mailtest.OnData: mailtest.Reply("250 what?")}, outcome{"4.5.0", "Remote protocol error", "", true, false}},
		{"message refused", steps{mailtest.OnDot: mailtest.Reply("554 5.7.1 spam")}, outcome{"5.7.1", "Service unavailable", "554 5.7.1 spam", false, false}},
		{"message deferred", steps{mailtest.OnDot: mailtest.Reply("451 4.7.0 no scanner")}, outcome{"4.7.0", "no scanner", "451 4.7.0 no scanner", true, false}},
		{"421 after the dot", steps{mailtest.OnDot: mailtest.Reply("421 4.3.0 broken")}, outcome{"4.3.0", "broken", "421 4.3.0 broken", true, false}},
		{"354 after the dot", steps{mailtest.OnDot: mailtest.Reply("354 more")}, outcome{"4.5.0", "Remote protocol error", "354 more", true, false}},

		{"greeting 421", steps{mailtest.OnConnect: mailtest.Reply("421 4.3.2 busy")}, outcome{"4.5.0", "busy", "421 4.3.2 busy", true, false}},
		{"greeting 554", steps{mailtest.OnConnect: mailtest.Reply("554 5.3.2 no mail here")}, outcome{"5.5.0", "Service unavailable", "554 5.3.2 no mail here", false, false}},
		{"EHLO 421", steps{mailtest.OnHello: mailtest.Reply("421 4.3.2 busy")}, outcome{"4.5.0", "busy", "421 4.3.2 busy", true, false}},

		{"hung up at once", steps{mailtest.OnConnect: mailtest.Drop()}, outcome{"4.4.2", "Connection reset by " + host, "", true, false}},
		{"hung up at EHLO", steps{mailtest.OnHello: mailtest.Drop()}, outcome{"4.4.2", "Connection reset by " + host, "", true, false}},
		{"hung up at MAIL", steps{mailtest.OnMail: mailtest.Drop()}, outcome{"4.4.2", "Connection reset by " + host, "", true, false}},
		{"hung up at DATA", steps{mailtest.OnData: mailtest.Drop()}, outcome{"4.4.2", "Connection reset by " + host, "", true, false}},
		{"hung up in the middle of a reply", steps{mailtest.OnMail: {Raw: "25", Drop: true}}, outcome{"4.4.2", "Connection reset by " + host, "", true, false}},
		{"hung up after the dot", steps{mailtest.OnDot: mailtest.Drop()}, outcome{"4.4.2", "", "", true, true}},
		{"half a reply after the dot", steps{mailtest.OnDot: {Raw: "250-half\r\n", Drop: true}}, outcome{"4.4.2", "", "", true, true}},
		{"garbage after the dot", steps{mailtest.OnDot: mailtest.Raw("ok\r\n")}, outcome{"4.5.0", "Remote protocol error", "", true, true}},
		{"garbage greeting", steps{mailtest.OnConnect: mailtest.Raw("HTTP/1.1 400 Bad Request\r\n\r\n")}, outcome{"4.5.0", "Remote protocol error", "", true, false}},
		{"binary greeting", steps{mailtest.OnConnect: mailtest.Raw("\x16\x03\x01\x00\xff\n")}, outcome{"4.5.0", "Remote protocol error", "", true, false}},
		{"codes differ", steps{mailtest.OnMail: mailtest.Raw("250-a\r\n550 b\r\n")}, outcome{"4.5.0", "Remote protocol error", "", true, false}},
		{"endless line", steps{mailtest.OnMail: mailtest.Raw("250 " + strings.Repeat("x", 100_000))}, outcome{"4.5.0", "Remote protocol error", "", true, false}},
		{"endless reply", steps{mailtest.OnMail: mailtest.Raw(strings.Repeat("250-more\r\n", 100_000))}, outcome{"4.5.0", "Remote protocol error", "", true, false}},
		{"code 199", steps{mailtest.OnMail: mailtest.Raw("199 hm\r\n")}, outcome{"4.5.0", "Remote protocol error", "", true, false}},
		{"no blank after the code", steps{mailtest.OnMail: mailtest.Raw("2500 hm\r\n")}, outcome{"4.5.0", "Remote protocol error", "", true, false}},
	} {
		for _, ext := range [][]string{nil, {"ENHANCEDSTATUSCODES", "8BITMIME"}} {
			name := tt.name
			if ext != nil {
				name += ", lockstep"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var network mailtest.Network
				srv := mailtest.NewUnstarted(t)
				srv.Network, srv.Extensions = &network, ext
				for stage, step := range tt.steps {
					srv.Always(stage, step)
				}
				srv.Start()
				m := newMailer(t, smtp.Options{Dial: network.Dial})
				r := m.Deliver(t.Context(), attempt(srv.Addr, text, "bob@sink.test"))
				require.Len(t, r, 1)
				assert.Equal(t, "[192.0.2.2] [192.0.2.2]", r[0].Relay)
				assert.Equal(t, tt.want, outcomeOf(r[0]), srv.Dialogue())
				if r[0].Err == nil {
					assert.Equal(t, text, srv.Wait(1)[0].Text())
				} else if !r[0].Uncertain {
					assert.Empty(t, srv.Messages())
				}
			})
		}
	}
}

// Each recipient has its own fate, whatever the protocol; the message reaches those that were accepted.
func TestPerRecipient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		lmtp bool
		ext  []string
	}{{"SMTP", false, nil}, {"lockstep", false, []string{}}, {"LMTP", true, nil}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := mailtest.NewUnstarted(t)
			srv.LMTP, srv.Extensions = tt.lmtp, tt.ext
			srv.Recipient("gone@sink.test", mailtest.OnRcpt, mailtest.Reply("550 5.1.1 gone"))
			srv.Recipient("later@sink.test", mailtest.OnRcpt, mailtest.Reply("452 4.2.1 later"))
			if tt.lmtp {
				srv.Recipient("full@sink.test", mailtest.OnDot, mailtest.Reply("452 4.2.2 full"))
				srv.Recipient("nope@sink.test", mailtest.OnDot, mailtest.Reply("554 5.2.1 nope"))
			}
			srv.Start()
			m := newMailer(t, smtp.Options{LMTP: tt.lmtp})
			rs := m.Deliver(t.Context(), attempt(srv.Addr, text,
				"gone@sink.test", "ok@sink.test", "later@sink.test", "full@sink.test", "nope@sink.test", "fine@sink.test"))
			var got []string
			for _, r := range rs {
				if r.Err == nil {
					got = append(got, "ok")
				} else {
					got = append(got, outcomeOf(r).Status)
				}
			}
			want, to := []string{"5.1.1", "ok", "4.2.1", "ok", "ok", "ok"}, []string{"ok@sink.test", "full@sink.test", "nope@sink.test", "fine@sink.test"}
			if tt.lmtp {
				want[3], want[4] = "4.2.2", "5.2.1"
				to = []string{"ok@sink.test", "fine@sink.test"}
			}
			assert.Equal(t, want, got, srv.Dialogue())
			assert.Equal(t, 1, strings.Count(srv.Dialogue(), "C: MAIL"), "one transaction is enough")
			require.Len(t, srv.Messages(), 1)
			assert.Equal(t, to, srv.Messages()[0].To())
		})
	}
}

// All recipients refused: DATA, sent ahead, must not leave the session out of step, whether the server takes it (RFC
// 2920 section 3.1 allows that) or not.
func TestAllRefused(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "354 go on"} {
		srv := mailtest.NewServer(t)
		srv.Script(mailtest.OnRcpt, mailtest.Reply("550 5.1.1 gone"), mailtest.Reply("550 5.1.1 gone"))
		srv.Script(mailtest.OnData, mailtest.Reply(data))
		m := newMailer(t, smtp.Options{})
		for _, r := range m.Deliver(t.Context(), attempt(srv.Addr, text, "a@sink.test", "b@sink.test")) {
			assert.Equal(t, "5.1.1", outcomeOf(r).Status)
		}
		require.NoError(t, m.Deliver(t.Context(), attempt(srv.Addr, text, "a@sink.test"))[0].Err)
		assert.Len(t, srv.Sessions(), 1, srv.Dialogue())
		assert.Len(t, srv.Messages(), 1)
	}
}

// A server's own limit, which it tells with 452, and ours make several transactions of one session.
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 7} {
		srv := mailtest.NewUnstarted(t)
		n := 0
		srv.Handler = func(c mailtest.Command) (mailtest.Step, bool) {
			switch c.Stage {
			case mailtest.OnMail:
				n = 0
			case mailtest.OnRcpt:
				if n++; limit > 0 && n > limit {
					return mailtest.Reply("452 4.5.3 Too many recipients"), true
				}
			}
			return mailtest.Step{}, false
		}
		srv.Start()
		var to []string
		for i := range 250 {
			to = append(to, fmt.Sprintf("user%d@sink.test", i))
		}
		m := newMailer(t, smtp.Options{})
		for _, r := range m.Deliver(t.Context(), attempt(srv.Addr, text, to...)) {
			require.NoError(t, r.Err)
		}
		var got []string
		for _, msg := range srv.Messages() {
			got = append(got, msg.To()...)
		}
		assert.ElementsMatch(t, to, got)
		assert.Len(t, srv.Sessions(), 1)
		if limit == 0 {
			assert.Len(t, srv.Messages(), 3)
		}
	}
}
