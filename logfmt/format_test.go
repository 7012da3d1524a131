package logfmt_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/logfmt"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func opts() *logfmt.Options {
	return &logfmt.Options{Host: "mx", PID: 42, Location: time.UTC, Level: 9}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	ann := mtakit.Address{Local: "ann", Domain: "example.org"}
	tests := []struct {
		name  string
		level int
		e     mtakit.Event
		want  string // behind "Nov  2 12:00:00 mx sendmail[42]: "; "" for no line
	}{
		{"null sender by SMTP", 9, mtakit.Event{Kind: mtakit.EventAccept, ID: "ID", Proto: "ESMTP", NRcpts: 1, Client: "h [192.0.2.1]"},
			"ID: from=<>, size=0, class=0, nrcpts=1, proto=ESMTP, relay=h [192.0.2.1]"},
		{"null sender from the command line", 9, mtakit.Event{Kind: mtakit.EventAccept, ID: "ID", Size: -1, NRcpts: 1, Client: "root@localhost"},
			"ID: from=<>, size=9223372036854775807, class=0, nrcpts=1, relay=root@localhost"},
		{"bare sender from the command line", 9, mtakit.Event{Kind: mtakit.EventAccept, ID: "ID", From: ann, MsgID: "<m>", Client: "ann@localhost"},
			"ID: from=ann@example.org, size=0, class=0, nrcpts=0, msgid=<m>, relay=ann@localhost"},
		{"UTF-8 is escaped", 9, mtakit.Event{Kind: mtakit.EventAccept, ID: "ID", From: mtakit.Address{Local: "é"}, Client: "x@localhost"},
			`ID: from=\303\251, size=0, class=0, nrcpts=0, relay=x@localhost`},
		{"level too low", 4, mtakit.Event{Kind: mtakit.EventAccept, ID: "ID"}, ""},
		{"delivered, stat made from reply", 8, mtakit.Event{Kind: mtakit.EventDeliver, ID: "ID", To: []string{"<b@x>", "<a@x>"}, Mailer: "esmtp",
			Delay: 26 * time.Hour, XDelay: 3*time.Second + 900*time.Millisecond, Priority: -5, Relay: "mx.x. [192.0.2.9]", Status: mtakit.StatusSuccess, Reply: "Ok"},
			"ID: to=<b@x>,<a@x>, delay=1+02:00:00, xdelay=00:00:03, mailer=esmtp, pri=9223372036854775807, relay=mx.x. [192.0.2.9], dsn=2.0.0, stat=Sent (Ok)"},
		{"delivered needs level 8", 7, mtakit.Event{Kind: mtakit.EventDeliver, ID: "ID"}, ""},
		{"a failure only level 7", 7, mtakit.Event{Kind: mtakit.EventBounce, ID: "ID", To: []string{"<a@x>"}, XDelay: -1, Status: mtakit.StatusBadMailbox,
			Err: &mtakit.Error{Code: 550, Text: "User unknown"}, Reply: "550 5.1.1 User unknown"},
			"ID: to=<a@x>, delay=00:00:00, pri=0, dsn=5.1.1, reply=550 5.1.1 User unknown, stat=User unknown"},
		{"queued has no xdelay", 9, mtakit.Event{Kind: mtakit.EventQueue, ID: "ID", To: []string{"a"}, XDelay: 0, Mailer: "local", Priority: 30},
			"ID: to=a, delay=00:00:00, mailer=local, pri=30, stat=queued"},
		{"deferred, unknown error", 9, mtakit.Event{Kind: mtakit.EventDefer, ID: "ID", To: []string{"a"}, Mailer: "local", Status: mtakit.StatusTemporary, Err: errors.New("disk on fire")},
			"ID: to=a, delay=00:00:00, xdelay=00:00:00, mailer=local, pri=0, dsn=4.0.0, stat=Deferred: disk on fire"},
		{"program run for a user", 9, mtakit.Event{Kind: mtakit.EventDeliver, ID: "ID", To: []string{`"|prog \a"`}, Mailer: "prog", Control: mtakit.Control{User: "ann", UID: 10, GID: 20, Origin: "ann"}},
			`ID: to="|prog \\a", ctladdr=ann (10/20), delay=00:00:00, xdelay=00:00:00, mailer=prog, pri=0, stat=Sent`},
		{"an alias's program shows the alias", 9, mtakit.Event{Kind: mtakit.EventDeliver, ID: "ID", To: []string{`"|prog"`}, Mailer: "prog", Control: mtakit.Control{User: "mail", UID: 8, Origin: "<robot@x>", Alias: true}},
			`ID: to="|prog", ctladdr=<robot@x> (8/0), delay=00:00:00, xdelay=00:00:00, mailer=prog, pri=0, stat=Sent`},
		{"an alias's user does not", 9, mtakit.Event{Kind: mtakit.EventDeliver, ID: "ID", To: []string{"ann"}, Mailer: "local", Control: mtakit.Control{User: "mail", UID: 8, Origin: "<team@x>", Alias: true}},
			`ID: to=ann, delay=00:00:00, xdelay=00:00:00, mailer=local, pri=0, stat=Sent`},
		{"long relay host", 9, mtakit.Event{Kind: mtakit.EventDefer, ID: "ID", To: []string{"a"}, Mailer: "esmtp", Relay: strings.Repeat("a", 30) + strings.Repeat("b", 30) + ". [192.0.2.1]"},
			"ID: to=a, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=0, relay=aaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbb. [192.0.2.1], stat=Deferred"},
		{"report", 9, mtakit.Event{Kind: mtakit.EventReport, ID: "ID", NewID: "ID2", Text: "DSN", Stat: "User unknown"}, "ID: ID2: DSN: User unknown"},
		{"refused by a rule set", 9, mtakit.Event{Kind: mtakit.EventReject, ID: "ID", Text: "check_rcpt", To: []string{"<a@x>"}, Client: "h [192.0.2.1]",
			Err: &mtakit.Error{Code: 550, Status: mtakit.StatusNotAuthorized, Text: "<a@x>... Relaying denied"}},
			"ID: ruleset=check_rcpt, arg1=<a@x>, relay=h [192.0.2.1], reject=550 5.7.1 <a@x>... Relaying denied"},
		{"refused at connect", 9, mtakit.Event{Kind: mtakit.EventReject, Text: "check_relay", Client: "h [192.0.2.1]",
			Err: &mtakit.Error{Code: 550, Status: mtakit.StatusNotAuthorized, Text: "Access denied"}},
			"ruleset=check_relay, arg1=h, arg2=192.0.2.1, relay=h [192.0.2.1], reject=550 5.7.1 Access denied"},
		{"discarded by a rule set", 9, mtakit.Event{Kind: mtakit.EventReject, ID: "ID", Text: "check_mail", From: ann, Client: "h [192.0.2.1]"},
			"ID: ruleset=check_mail, arg1=<ann@example.org>, relay=h [192.0.2.1], discard"},
		{"unknown user in the session", 9, mtakit.Event{Kind: mtakit.EventReject, ID: "ID", To: []string{"<a@x>"}, Err: &mtakit.Error{Code: 550, Text: "<a@x>... User unknown"}},
			"ID: <a@x>... User unknown"},
		{"connect shows at level 10", 10, mtakit.Event{Kind: mtakit.EventConnect, Client: "h [192.0.2.1]"}, "NOQUEUE: connect from h [192.0.2.1]"},
		{"connect does not at 9", 9, mtakit.Event{Kind: mtakit.EventConnect, Client: "h [192.0.2.1]"}, ""},
		{"done", 10, mtakit.Event{Kind: mtakit.EventDone, ID: "ID", Delay: time.Minute, Tries: 2}, "ID: done; delay=00:01:00, ntries=2"},
		{"problem", 1, mtakit.Event{Kind: mtakit.EventProblem, ID: "ID", Text: "queueup", Err: errors.New("disk full")}, "ID: SYSERR(root): queueup: disk full"},
		{"hostile text stays in its line", 9, mtakit.Event{Kind: mtakit.EventQuarantine, ID: "ID", Text: "a\nNov  2 12:00:00 mx sendmail[42]: ID: from=x"},
			`ID: quarantine=a\nNov  2 12:00:00 mx sendmail[42]: ID: from=x`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := opts()
			o.Level = tc.level
			tc.e.Time = noon
			got := string(logfmt.NewFormatter(o).Append(nil, &tc.e))
			if tc.want == "" {
				assert.Empty(t, got)
				return
			}
			assert.Equal(t, "Nov  2 12:00:00 mx sendmail[42]: "+tc.want+"\n", got)
		})
	}
}

func TestFormatLongList(t *testing.T) {
	t.Parallel()
	e := mtakit.Event{Time: noon, Kind: mtakit.EventDeliver, ID: "6AM8DSgX004705", Mailer: "esmtp", Relay: "mx.example.net. [198.51.100.21]"}
	for i := range 300 {
		e.To = append(e.To, "<user"+strings.Repeat("x", i%20)+"@example.net>")
	}
	var got []string
	for l, err := range logfmt.Parse(strings.NewReader(string(logfmt.NewFormatter(opts()).Append(nil, &e))), "log", nil) {
		assert.NoError(t, err)
		assert.Less(t, len(l.Text), 1024-42-14)
		got = append(got, l.To.To...)
	}
	assert.Equal(t, e.To, got)
}

func TestFormatOneHugeAddress(t *testing.T) {
	t.Parallel()
	e := mtakit.Event{Time: noon, Kind: mtakit.EventDeliver, ID: "6AM8DSgX004705", To: []string{strings.Repeat("a", 5000)}, Mailer: "local"}
	got := string(logfmt.NewFormatter(opts()).Append(nil, &e))
	assert.Equal(t, 1, strings.Count(got, "\n"))
	assert.Equal(t, 924-len(", delay=00:00:00, xdelay=00:00:00, mailer=local, pri=0, stat=Sent"), strings.Count(got, "a")-strings.Count(", delay=00:00:00, xdelay=00:00:00, mailer=local, pri=0, stat=Sent sendmail", "a"))
}

func TestEscape(t *testing.T) {
	t.Parallel()
	for plain, logged := range map[string]string{
		"":            "",
		"plain":       "plain",
		`\carol`:      `\\carol`,
		"a\tb\r\nc":   `a\tb\r\nc`,
		"caf\xc3\xa9": `caf\303\251`,
		"\x00\x7f":    `\000\177`,
	} {
		assert.Equal(t, logged, logfmt.Escape(plain))
		assert.Equal(t, plain, logfmt.Unescape(logged))
	}
	assert.Equal(t, `\x \18 \400 \`, logfmt.Unescape(`\x \18 \400 \`), "what is no escape stays")
}
