package dsn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/dsn"
	"github.com/mtakit/mtakit/internal/peer"
)

var (
	morning = time.Date(2026, 11, 22, 8, 5, 28, 0, time.UTC)
	jane    = mtakit.Address{Local: "jane", Domain: "client.example.com"}
)

const letter = "From: jane@client.example.com\nMessage-Id: <1@client.example.com>\nSubject: hello\n\nbody\n"

func text(s string) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

func original() *dsn.Original {
	return &dsn.Original{From: jane, Client: "client.example.com [192.0.2.55]", Arrived: morning, Size: int64(len(letter)), Open: text(letter)}
}

func options() dsn.Options {
	return dsn.Options{Host: "mx.example.org", ID: "6AM85SZA009388", Date: morning.Add(time.Hour)}
}

func failed() dsn.Recipient {
	return dsn.Recipient{Final: "rfc822;gone1@rcpt5.example.net", Action: dsn.Failed, Status: mtakit.StatusBadMailbox,
		RemoteMTA: "mx.rcpt5.example.net.", Diagnostic: "550 5.1.1 <gone1>: Recipient address rejected: User unknown",
		LastAttempt: morning.Add(time.Minute), Reason: "User unknown"}
}

func write(t testing.TB, m *dsn.Message) string {
	t.Helper()
	require.NotNil(t, m)
	var b strings.Builder
	n, err := m.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), n)
	return b.String()
}

// boundaryOf finds the boundary, which is different each time.
func boundaryOf(t testing.TB, s string) string {
	_, rest, ok := strings.Cut(s, "boundary=\"")
	require.True(t, ok)
	b, _, _ := strings.Cut(rest, "\"")
	return b
}

func TestFailure(t *testing.T) {
	t.Parallel()
	o := original()
	o.EnvID = "env 42"
	r := failed()
	r.Original = "rfc822;Gone1@rcpt5.example.net"
	got := write(t, dsn.New(o, []dsn.Recipient{r}, options()))
	got = strings.ReplaceAll(got, boundaryOf(t, got), "BOUNDARY")
	assert.Equal(t, `Received: from localhost (localhost)
	by mx.example.org (mtakit) id 6AM85SZA009388;
	Sun, 22 Nov 2026 09:05:28 +0000
Date: Sun, 22 Nov 2026 09:05:28 +0000
From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.org>
Message-Id: <202611220905.6AM85SZA009388@mx.example.org>
To: <jane@client.example.com>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="BOUNDARY"
Subject: Returned mail: see transcript for details
Auto-Submitted: auto-generated (failure)

This is a MIME message; the parts below are a text, a report for programs, and the mail in question.

--BOUNDARY
Content-Type: text/plain; charset=us-ascii

This is the mail system at mx.example.org.

The original message was accepted on Sun, 22 Nov 2026 08:05:28 +0000
from client.example.com [192.0.2.55]

   ----- Your message could not be delivered to -----
<Gone1@rcpt5.example.net>
    (mx.rcpt5.example.net answered: 550 5.1.1 <gone1>: Recipient address rejected: User unknown)

The message is attached.

--BOUNDARY
Content-Type: message/delivery-status

Original-Envelope-Id: env 42
Reporting-MTA: dns; mx.example.org
Received-From-MTA: dns; client.example.com
Arrival-Date: Sun, 22 Nov 2026 08:05:28 +0000

Original-Recipient: rfc822; Gone1@rcpt5.example.net
Final-Recipient: rfc822; gone1@rcpt5.example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.rcpt5.example.net
Diagnostic-Code: smtp; 550 5.1.1 <gone1>: Recipient address rejected: User unknown
Last-Attempt-Date: Sun, 22 Nov 2026 08:06:28 +0000

--BOUNDARY
Content-Type: message/rfc822

From: jane@client.example.com
Message-Id: <1@client.example.com>
Subject: hello

body

--BOUNDARY--
`, got)
}

// TestWhoIsTold goes through NOTIFY= (RFC 3461 section 4.1) and the rules about null senders.
func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	const never, success, failure, delay = mtakit.NotifyNever, mtakit.NotifySuccess, mtakit.NotifyFailure, mtakit.NotifyDelay
	tests := []struct {
		name   string
		from   mtakit.Address
		action dsn.Action
		notify mtakit.Notify
		to     string // of the report; "" for none
		kind   string
	}{
		{"failure, nothing asked", jane, dsn.Failed, 0, "jane@client.example.com", "DSN"},
		{"delay, nothing asked", jane, dsn.Delayed, 0, "jane@client.example.com", "sender notify"},
		{"success, nothing asked", jane, dsn.Delivered, 0, "", ""},
		{"failure, never", jane, dsn.Failed, never, "", ""},
		{"delay, never", jane, dsn.Delayed, never, "", ""},
		{"failure, only success asked", jane, dsn.Failed, success, "", ""},
		{"delay, only failure asked", jane, dsn.Delayed, failure, "", ""},
		{"success asked", jane, dsn.Delivered, success | failure, "jane@client.example.com", "DSN"},
		{"relayed, success asked", jane, dsn.Relayed, success, "jane@client.example.com", "DSN"},
		{"relayed, failure and delay asked", jane, dsn.Relayed, failure | delay, "", ""},
		{"expanded, success asked", jane, dsn.Expanded, success, "jane@client.example.com", "DSN"},
		{"unknown action", jane, 0, 0, "", ""},
		{"null sender, failure", mtakit.Address{}, dsn.Failed, 0, "postmaster@mx.example.org", "postmaster notify"},
		{"null sender, failure, never", mtakit.Address{}, dsn.Failed, never, "postmaster@mx.example.org", "postmaster notify"},
		{"null sender, delay", mtakit.Address{}, dsn.Delayed, 0, "", ""},
		{"null sender, success asked", mtakit.Address{}, dsn.Delivered, success, "", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := original()
			o.From = tc.from
			m := dsn.New(o, []dsn.Recipient{{Final: "rfc822;x@y.example", Action: tc.action, Notify: tc.notify}}, options())
			if tc.to == "" {
				require.Nil(t, m)
				return
			}
			require.NotNil(t, m)
			assert.Equal(t, tc.to, m.To.String())
			assert.Equal(t, tc.kind, m.Kind())
			got := write(t, m)
			assert.Contains(t, got, "\nAction: "+tc.action.String()+"\n")
			assert.NotContains(t, got, "\nTo: <>\n")
		})
	}
}

func TestDoubleBounceEnds(t *testing.T) {
	t.Parallel()
	o := original()
	o.From = mtakit.Address{}
	r := failed()
	for _, addr := range []string{"rfc822;postmaster@mx.example.org", "rfc822;Postmaster"} {
		r.Final = addr
		require.Nil(t, dsn.New(o, []dsn.Recipient{r}, options()), "a report about a report to the postmaster goes to nobody")
	}
	r.Final = "rfc822;x@example.net"
	opts := options()
	opts.NoDoubleBounce = true
	require.Nil(t, dsn.New(o, []dsn.Recipient{r}, opts))
	opts = options()
	opts.Postmaster = mtakit.Address{Local: "ops", Domain: "example.org"}
	m := dsn.New(o, []dsn.Recipient{r}, opts)
	got := write(t, m)
	assert.Contains(t, got, "\nTo: <ops@example.org>\n")
	assert.Contains(t, got, "\nSubject: Postmaster notify: see transcript for details\n")
	assert.Contains(t, got, "Auto-Submitted: auto-generated (postmaster-notification)\n")

	m.To = mtakit.Address{}
	_, err := m.WriteTo(io.Discard)
	require.ErrorIs(t, err, dsn.ErrNullRecipient)
}

func TestWhatComesBack(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		ret    string
		action dsn.Action
		size   int64
		full   bool
	}{
		{"failure", "", dsn.Failed, 10, true},
		{"failure, FULL", "FULL", dsn.Failed, 10, true},
		{"failure, HDRS", "HDRS", dsn.Failed, 10, false},
		{"failure of something big", "FULL", dsn.Failed, 5 << 20, false},
		{"failure of unknown size", "", dsn.Failed, -1, true},
		{"delay", "FULL", dsn.Delayed, 10, false},
		{"success", "FULL", dsn.Delivered, 10, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := original()
			o.Ret, o.Size = tc.ret, tc.size
			m := dsn.New(o, []dsn.Recipient{{Final: "rfc822;x@y.example", Action: tc.action, Notify: mtakit.NotifySuccess | mtakit.NotifyFailure | mtakit.NotifyDelay}}, options())
			require.NotNil(t, m)
			assert.Equal(t, !tc.full, m.HeadersOnly())
			got := write(t, m)
			assert.Equal(t, tc.full, strings.Contains(got, "\nbody\n"))
			assert.Contains(t, got, "\nSubject: hello\n")
			in, err := dsn.Parse(strings.NewReader(got), "own", nil)
			require.NoError(t, err)
			assert.Equal(t, tc.full, in.Full)
			assert.Equal(t, "hello", in.Original().Get("Subject"))
		})
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	r := dsn.Recipient{Final: "rfc822;late@example.net", Action: dsn.Delayed, Status: mtakit.StatusNoAnswer, RetryUntil: morning.Add(120 * time.Hour),
		Reason: "Deferred: Connection refused by mx.example.net."}
	opts := options()
	opts.Date = morning.Add(4*time.Hour + time.Minute)
	got := write(t, dsn.New(original(), []dsn.Recipient{r}, opts))
	assert.Contains(t, got, "\nSubject: Warning: could not send message for past 4 hours\n")
	assert.Contains(t, got, "Auto-Submitted: auto-generated (warning-timeout)\n")
	assert.Contains(t, got, "Action: delayed\nStatus: 4.4.1\nWill-Retry-Until: Fri, 27 Nov 2026 08:05:28 +0000\n")
	assert.Contains(t, got, "This is a warning only.")
	assert.Contains(t, got, "Connection refused by mx.example.net.")
}

func TestStatusFitsAction(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		action dsn.Action
		status mtakit.Status
		want   string
	}{
		{dsn.Failed, 0, "5.0.0"}, {dsn.Failed, mtakit.StatusExpired.AsTemporary(), "4.4.7"}, {dsn.Failed, mtakit.StatusSuccess, "5.0.0"},
		{dsn.Delayed, mtakit.StatusBadMailbox, "4.1.1"}, {dsn.Delayed, 0, "4.0.0"}, {dsn.Delivered, mtakit.StatusAddressValid, "2.1.5"}, {dsn.Relayed, 0, "2.0.0"},
	} {
		r := dsn.Recipient{Final: "rfc822;x@y.example", Action: tc.action, Status: tc.status, Notify: mtakit.NotifySuccess | mtakit.NotifyFailure | mtakit.NotifyDelay}
		assert.Contains(t, write(t, dsn.New(original(), []dsn.Recipient{r}, options())), "\nStatus: "+tc.want+"\n")
	}
}

// TestHostileAnswers: what a peer answers must not become a field or a part of the report.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	r := failed()
	r.Diagnostic = "550 no\r\nAction: delivered\n\n--" + strings.Repeat("x", 3000) + "\x00\x1b[2J caf\xc3\xa9 \xff"
	r.Reason = "a\n--b"
	r.RemoteMTA = "evil\r\nStatus: 2.0.0"
	got := write(t, dsn.New(original(), []dsn.Recipient{r}, options()))
	in, err := dsn.Parse(strings.NewReader(got), "own", nil)
	require.NoError(t, err)
	require.Len(t, in.Recipients, 1)
	assert.Equal(t, dsn.Failed, in.Recipients[0].Action)
	assert.Equal(t, mtakit.StatusBadMailbox, in.Recipients[0].Status)
	head, body, _ := strings.Cut(got, "\n\n")
	assert.NotContains(t, head, "evil")
	for line := range strings.SplitSeq(body, "\n") {
		assert.LessOrEqual(t, len(line), 3200)
		assert.False(t, strings.HasPrefix(line, "Action: delivered"), line)
		assert.NotContains(t, line, "\r")
	}
	part := got[strings.Index(got, "message/delivery-status\n"):strings.Index(got, "message/rfc822\n")]
	for i := range len(part) {
		require.True(t, part[i] < 0x80 && (part[i] >= ' ' || part[i] == '\n'), "byte %d: %q", i, part[i])
	}
	for line := range strings.SplitSeq(part, "\n") {
		assert.LessOrEqual(t, len(line), 998)
	}
}

func TestSMTPUTF8(t *testing.T) {
	t.Parallel()
	r := failed()
	r.Final = dsn.TypedAddress(mtakit.Address{Local: "jörg", Domain: "пример.example"})
	assert.Equal(t, "utf-8;jörg@пример.example", r.Final)

	o := original()
	o.SMTPUTF8 = true
	m := dsn.New(o, []dsn.Recipient{r}, options())
	got := write(t, m)
	assert.Contains(t, got, "report-type=global-delivery-status;")
	assert.Contains(t, got, "\nContent-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n")
	assert.Contains(t, got, "\nFinal-Recipient: utf-8; jörg@пример.example\n")
	assert.Contains(t, got, "\nContent-Type: message/global\n")
	body, err := m.BodyType(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "8BITMIME", body)

	o.SMTPUTF8 = false
	got = write(t, dsn.New(o, []dsn.Recipient{r}, options()))
	assert.Contains(t, got, "\nFinal-Recipient: utf-8; j\\x{F6}rg@\\x{43F}\\x{440}\\x{438}\\x{43C}\\x{435}\\x{440}.example\n")
	in, err := dsn.Parse(strings.NewReader(got), "own", nil)
	require.NoError(t, err)
	assert.Equal(t, r.Final, in.Recipients[0].Final)
	a, err := in.Recipients[0].Address()
	require.NoError(t, err)
	assert.Equal(t, mtakit.Address{Local: "jörg", Domain: "пример.example"}, a)
}

func TestEightBit(t *testing.T) {
	t.Parallel()
	o := original()
	o.Open = text("Subject: x\n\ncaf\xc3\xa9\n")
	got := write(t, dsn.New(o, []dsn.Recipient{failed()}, options()))
	assert.Contains(t, got, "\nContent-Transfer-Encoding: 8bit\n\nThis is a MIME message")
	assert.Contains(t, got, "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: x\n\ncaf\xc3\xa9\n")
	o.Ret = "HDRS"
	m := dsn.New(o, []dsn.Recipient{failed()}, options())
	assert.NotContains(t, write(t, m), "8bit", "the header alone is ASCII")
	body, err := m.BodyType(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "7BIT", body)
}

func TestOriginalUnchanged(t *testing.T) {
	t.Parallel()
	odd := "Subject: odd\n\nCRLF\r\nbare CR \r here\n\n.\nFrom x\nno end of line"
	o := original()
	o.Open, o.Size = text(odd), int64(len(odd))
	got := write(t, dsn.New(o, []dsn.Recipient{failed()}, options()))
	assert.Contains(t, got, "\n\n"+odd+"\n--")
}

func TestOriginalMissing(t *testing.T) {
	t.Parallel()
	o := original()
	o.Open = func(context.Context) (io.ReadCloser, error) {
		return nil, &fs.PathError{Op: "open", Path: "df", Err: fs.ErrNotExist}
	}
	got := write(t, dsn.New(o, []dsn.Recipient{failed()}, options()))
	assert.Contains(t, got, "no longer found here")
	in, err := dsn.Parse(strings.NewReader(got), "own", nil)
	require.NoError(t, err)
	assert.Nil(t, in.OriginalHeader)

	oops := errors.New("disk on fire")
	o.Open = func(context.Context) (io.ReadCloser, error) { return nil, oops }
	_, err = dsn.New(o, []dsn.Recipient{failed()}, options()).WriteTo(io.Discard)
	require.ErrorIs(t, err, oops, "what may come back later is no reason to leave it out")
	o.Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("Subject: x\n\n"), iotest.ErrReader(oops))), nil
	}
	_, err = dsn.New(o, []dsn.Recipient{failed()}, options()).WriteTo(io.Discard)
	require.ErrorIs(t, err, oops)
}

// endless yields n bytes of message without having them in memory.
func endless(n int64) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("Subject: big\n\n"), io.LimitReader(lines{}, n))), nil
	}
}

type lines struct{}

func (lines) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
		if i%70 == 69 {
			p[i] = '\n'
		}
	}
	return len(p), nil
}

func TestBigOriginalIsStreamed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("64 MB")
	}
	const size = 64 << 20
	o := original()
	o.Open, o.Size = endless(size), size
	opts := options()
	opts.MaxOriginal = -1
	m := dsn.New(o, []dsn.Recipient{failed()}, opts)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := m.NewReader(t.Context())
	n, err := io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	runtime.ReadMemStats(&after)
	assert.Greater(t, n, int64(size))
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(size/2), "other tests included")
}

func TestNewReaderEnds(t *testing.T) {
	t.Parallel()
	o := original()
	o.Open, o.Size = endless(1<<40), 1<<40
	opts := options()
	opts.MaxOriginal = -1
	o.BodyType = "8BITMIME" // no look through a terabyte
	ctx, cancel := context.WithCancel(t.Context())
	r := dsn.New(o, []dsn.Recipient{failed()}, opts).NewReader(ctx)
	_, err := io.CopyN(io.Discard, r, 1<<20)
	require.NoError(t, err)
	cancel()
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, r.Close())
}

const python = `
import sys, json, email, email.policy
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
defects = []
def walk(p):
    defects.extend(repr(d) for d in p.defects)
    for h in p.values():
        defects.extend(repr(d) for d in h.defects)
    if p.is_multipart():
        for q in p.iter_parts() if p.get_content_maintype() == 'multipart' else p.get_payload():
            walk(q)
walk(m)
parts = list(m.iter_parts())
groups = [{k.lower(): str(v) for k, v in g.items()} for g in parts[1].get_payload()]
print(json.dumps({'defects': defects, 'type': m.get_content_type(), 'report': m.get_param('report-type'),
  'parts': [p.get_content_type() for p in parts], 'groups': groups, 'subject': str(m['subject']), 'to': str(m['to'])}))
`

// TestPythonReads has another implementation take our reports apart, and wants no complaints.
func TestPythonReads(t *testing.T) {
	t.Parallel()
	prog := peer.Program(t, "python3")
	second := dsn.Recipient{Final: "rfc822;late@example.net", Action: dsn.Delayed, Status: mtakit.StatusNoAnswer, Diagnostic: strings.Repeat("451 long answer ", 100)}
	for name, o := range map[string]*dsn.Original{"full": original(), "header": func() *dsn.Original { o := original(); o.Ret = "HDRS"; return o }()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), prog, "-c", python)
			cmd.Stdin = strings.NewReader(write(t, dsn.New(o, []dsn.Recipient{failed(), second}, options())))
			var complaints bytes.Buffer
			cmd.Stderr = &complaints
			out, err := cmd.Output()
			require.NoError(t, err, complaints.String())
			var got struct {
				Defects, Parts            []string
				Type, Report, Subject, To string
				Groups                    []map[string]string
			}
			require.NoError(t, json.Unmarshal(out, &got))
			assert.Empty(t, got.Defects)
			assert.Equal(t, "multipart/report delivery-status", got.Type+" "+got.Report)
			third := map[string]string{"full": "message/rfc822", "header": "text/rfc822-headers"}[name]
			assert.Equal(t, []string{"text/plain", "message/delivery-status", third}, got.Parts)
			assert.Equal(t, "Returned mail: see transcript for details jane@client.example.com", got.Subject+" "+got.To)
			require.Len(t, got.Groups, 3)
			assert.Equal(t, "dns; mx.example.org", got.Groups[0]["reporting-mta"])
			assert.Equal(t, "failed 5.1.1", got.Groups[1]["action"]+" "+got.Groups[1]["status"])
			assert.Equal(t, "delayed 4.4.1", got.Groups[2]["action"]+" "+got.Groups[2]["status"])
		})
	}
}

func BenchmarkWriteTo(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%d KiB", size>>10), func(b *testing.B) {
			body := "Subject: x\n\n" + strings.Repeat("a line of some sixty characters, as people and programs write\n", size/62)
			o := original()
			o.Open, o.Size = text(body), int64(len(body))
			m := dsn.New(o, []dsn.Recipient{failed()}, options())
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
