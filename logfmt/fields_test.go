package logfmt

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

const header = "Nov 22 17:47:09 mx sendmail[119]: 6AMHl6WA000119: "

// TestFieldsInsideValues reads lines of sendmail 8.17.1.9 whose addresses, message ids and replies look like fields.
func TestFieldsInsideValues(t *testing.T) {
	t.Parallel()
	from := func(l *Line) []string {
		return []string{l.From.From, l.From.MsgID, l.From.BodyType, l.From.Proto, l.From.Daemon, l.From.Relay}
	}
	to := func(l *Line) []string {
		return []string{strings.Join(l.To.To, " + "), l.To.Control, l.To.Mailer, l.To.DSN, l.To.Reply, l.To.Stat}
	}
	tests := []struct {
		name, text string
		parts      func(*Line) []string
		want       []string
	}{
		{"sender with the fields behind it",
			`from=<"x, size=5, class=0, nrcpts=1"@sender.test>, size=15, class=0, nrcpts=3, msgid=<1@mx>, proto=ESMTP, daemon=MTA, relay=client.test [198.51.100.7]`,
			from, []string{`<"x, size=5, class=0, nrcpts=1"@sender.test>`, "<1@mx>", "", "ESMTP", "MTA", "client.test [198.51.100.7]"}},
		{"sender with all of them",
			`from=<"x, size=5, class=0, nrcpts=1, relay=a"@s.test>, size=15, class=0, nrcpts=3, relay=b [192.0.2.1]`,
			from, []string{`<"x, size=5, class=0, nrcpts=1, relay=a"@s.test>`, "", "", "", "", "b [192.0.2.1]"}},
		{"sender cut inside its quotes",
			`from=<"x, size=15, class=0, nrcpts=3, relay=b [192.0.2.1]`, from, []string{`<"x`, "", "", "", "", "b [192.0.2.1]"}},
		{"message id with the fields behind it",
			`from=<a@s.test>, size=71, class=0, nrcpts=1, msgid=<x, bodytype=8BITMIME, proto=SMTP, daemon=M, relay=foo>, proto=ESMTP, daemon=MTA, relay=c [198.51.100.7]`,
			from, []string{"<a@s.test>", "<x, bodytype=8BITMIME, proto=SMTP, daemon=M, relay=foo>", "", "ESMTP", "MTA", "c [198.51.100.7]"}},
		{"message id that ends in one",
			`from=<a@s.test>, size=71, class=0, nrcpts=1, msgid=<x, bodytype=8BITMIME>, proto=ESMTP, daemon=MTA, relay=c [198.51.100.7]`,
			from, []string{"<a@s.test>", "<x, bodytype=8BITMIME>", "", "ESMTP", "MTA", "c [198.51.100.7]"}},
		{"recipients with the fields behind them",
			`to=<"z, ctladdr=<a> (1/1), delay=00:00:01, xdelay"@r.test>,<"y, delay=00:00:01, pri=1, stat=Sent"@r.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=90015, relay=m.r.test. [198.51.100.1], dsn=2.0.0, stat=Sent (Ok)`,
			to, []string{`<"z, ctladdr=<a> (1/1), delay=00:00:01, xdelay"@r.test> + <"y, delay=00:00:01, pri=1, stat=Sent"@r.test>`, "", "esmtp", "2.0.0", "", "Sent (Ok)"}},
		{"reply with a stat of its own",
			`to=<a@r.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=90015, relay=m. [198.51.100.1], dsn=5.1.1, reply=550 5.1.1 <x>: no; to=<x>, delay=00:00:01, stat=Sent, stat=User unknown`,
			to, []string{"<a@r.test>", "", "esmtp", "5.1.1", "550 5.1.1 <x>: no; to=<x>, delay=00:00:01, stat=Sent", "User unknown"}},
		{"reply that is repeated",
			`to=<a@r.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=90015, relay=m. [198.51.100.1], dsn=4.2.0, reply=450 4.2.0 no, stat=x, dsn=4.0.0, stat=Deferred: 450 4.2.0 no, stat=x, dsn=4.0.0`,
			to, []string{"<a@r.test>", "", "esmtp", "4.2.0", "450 4.2.0 no, stat=x, dsn=4.0.0", "Deferred: 450 4.2.0 no, stat=x, dsn=4.0.0"}},
		{"reply that would be a deferral",
			`to=<a@r.test>, delay=00:00:00, mailer=esmtp, pri=1, dsn=5.0.0, reply=550 x, stat=Deferred: 550 x, stat=Service unavailable`,
			to, []string{"<a@r.test>", "", "esmtp", "5.0.0", "550 x, stat=Deferred: 550 x", "Service unavailable"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l, err := ParseLine(header+tc.text, nil)
			require.NoError(t, err)
			require.NotEqual(t, KindOther, l.Kind)
			assert.Equal(t, tc.want, tc.parts(l))
		})
	}
}

// TestRejectTexts: refusals as sendmail 8.17.1.9 logs them.
func TestRejectTexts(t *testing.T) {
	t.Parallel()
	refusal := &mtakit.Error{Code: 550, Status: mtakit.StatusNotAuthorized, Text: "Access denied"}
	tests := []struct {
		e    mtakit.Event
		want string
	}{
		{mtakit.Event{Text: "check_relay", Client: "[198.51.100.9]", Err: refusal},
			"ruleset=check_relay, arg1=[198.51.100.9], arg2=198.51.100.9, relay=[198.51.100.9], reject=550 5.7.1 Access denied"},
		{mtakit.Event{Text: "check_relay", Client: "c.test [198.51.100.9]", Err: refusal},
			"ruleset=check_relay, arg1=c.test, arg2=198.51.100.9, relay=c.test [198.51.100.9], reject=550 5.7.1 Access denied"},
		{mtakit.Event{Text: "Milter helo", To: []string{"c.test"}, Err: refusal}, "Milter: helo=c.test, reject=550 5.7.1 Access denied"},
	}
	f := NewFormatter(&Options{Level: 100, Location: time.UTC})
	for _, tc := range tests {
		tc.e.Kind = mtakit.EventReject
		line := string(f.Append(nil, &tc.e))
		assert.True(t, strings.HasSuffix(line, tc.want+"\n"), "%s, want %s", line, tc.want)
	}
}

// TestEmptyCommand: a client that sends an empty line, or goes without a word, is logged with nothing behind the arrow.
func TestEmptyCommand(t *testing.T) {
	t.Parallel()
	l, err := ParseLine(header+"<-- ", nil)
	require.NoError(t, err)
	assert.Equal(t, Kind("smtp_in"), l.Kind)
	assert.Equal(t, []Field{{"line", ""}}, l.Fields)
}
