package dsn_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/dsn"
)

func parseFile(t testing.TB, name string) (*dsn.Received, error) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer f.Close()
	return dsn.Parse(f, name, nil)
}

// TestParseSendmail reads reports that sendmail 8.17.1.9 made.
func TestParseSendmail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file   string
		envID  string
		full   bool
		rcpts  string // original final action status remote diagnostic
		failed int
	}{
		{"local-unknown", "", true, "- rfc822;nosuch@mx.example.com failed 5.1.1 - X-Unix; 550 5.1.1 User unknown", 1},
		{"rejected", "env+42", false, "rfc822;Bad.One@far.test rfc822;bad1@far.test failed 5.1.1 [127.0.0.1] 550-5.1.1 <bad1>: no such mailbox here|" +
			"- rfc822;policy@far.test failed 5.7.1 [127.0.0.1] 554 5.7.1 policy says no (code=7; ref=xyz)", 2},
		{"receipt", "ok1", false, "rfc822;mtk2@mx.example.com rfc822;mtk2@mx.example.com delivered 2.1.5 - -|" +
			"- rfc822;ok@far.test relayed 2.1.5 [127.0.0.1] 250 2.1.5 ok", 0},
		{"program", "", true, "- rfc822;prog@mx.example.com failed 5.5.0 - X-Unix; 69|- rfc822;prog70@mx.example.com failed 5.5.0 - X-Unix; 70", 2},
		{"eight-bit", "", true, "- rfc822;bad3@far.test failed 5.1.1 [127.0.0.1] 550-5.1.1 <bad3>: no such mailbox here", 1},
		{"delayed", "d1", true, "rfc822;defer1@far.test rfc822;defer1@far.test delayed 4.7.1 [127.0.0.1] 451 4.7.1 greylisted, come back", 0},
		{"expired", "d1", true, "rfc822;defer1@far.test rfc822;defer1@far.test failed 4.4.7 [127.0.0.1] 451 4.7.1 greylisted, come back", 1},
		{"double-bounce", "", true, "- rfc822;bad2@far.test failed 5.1.1 [127.0.0.1] 550-5.1.1 <bad2>: no such mailbox here", 1},
	}
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	for _, tc := range tests {
		t.Run(tc.file, func(t *testing.T) {
			t.Parallel()
			r, err := parseFile(t, filepath.Join("sendmail", tc.file+".eml"))
			require.NoError(t, err)
			var got []string
			for _, rc := range r.Recipients {
				got = append(got, strings.Join([]string{dash(rc.Original), rc.Final, rc.Action.String(), rc.Status.String(), dash(rc.RemoteMTA), dash(rc.Diagnostic)}, " "))
				assert.NotEmpty(t, rc.Actual)
				assert.Equal(t, 2026, rc.LastAttempt.Year())
			}
			assert.Equal(t, tc.rcpts, strings.Join(got, "|"))
			assert.Equal(t, tc.envID, r.EnvID)
			assert.Equal(t, tc.full, r.Full)
			assert.Len(t, r.Failures(), tc.failed)
			assert.Equal(t, "mx.example.com", r.ReportingMTA)
			assert.Equal(t, 2026, r.Arrived.Year())
			assert.NotEmpty(t, r.Original().Get("Message-Id"))
			assert.Contains(t, r.Text, "The original message was received at")
		})
	}
}

func TestParseOthers(t *testing.T) {
	t.Parallel()
	r, err := parseFile(t, "postfix-like.eml")
	require.NoError(t, err)
	require.Len(t, r.Failures(), 1)
	require.Len(t, r.Delays(), 1, "a delay is no failure, whatever its status is")
	f := r.Failures()[0]
	assert.Equal(t, "utf-8;jörg@example.com", f.Final)
	assert.Equal(t, "utf-8;Jörg@example.com", f.Original)
	assert.Equal(t, "550 5.1.1 <jörg@example.com>: Recipient address rejected: no such user", f.Diagnostic)
	d := r.Delays()[0]
	assert.Equal(t, mtakit.StatusPermanent, d.Status)
	assert.Equal(t, time.Date(2026, 11, 27, 8, 5, 28, 0, time.UTC), d.RetryUntil.UTC())
	assert.Equal(t, []dsn.Field{{"X-Postfix-Queue-ID", "1234"}, {"X-Postfix-Sender", "rfc822; ann@example.org"}}, r.Fields)
	assert.False(t, r.Full)
	assert.Equal(t, "<1@example.org>", r.Original().Get("Message-Id"))
}

// TestParseOdd: what can be read is read, what cannot is named with its line, and nothing of it counts as a failure.
func TestParseOdd(t *testing.T) {
	t.Parallel()
	r, err := parseFile(t, "odd.eml")
	require.NotNil(t, r)
	var lines []int
	var joined interface{ Unwrap() []error }
	require.ErrorAs(t, err, &joined)
	for _, e := range joined.Unwrap() {
		var se *mtakit.SyntaxError
		require.ErrorAs(t, e, &se)
		lines = append(lines, se.Pos.Line)
	}
	slices.Sort(lines)
	assert.Equal(t, []int{2, 3, 5, 6, 7, 7, 12}, lines)
	require.Len(t, r.Recipients, 2)
	assert.Equal(t, "rfc822;ann@example.com", r.Recipients[0].Final)
	assert.Zero(t, r.Recipients[0].Action)
	assert.Equal(t, "rfc822;bob@example.com", r.Recipients[1].Final, "taken from Original-Recipient")
	require.Len(t, r.Failures(), 1)
	assert.Equal(t, []dsn.Field{{"X-Other", "yes"}}, r.Recipients[1].Fields)
	assert.Equal(t, "for people", strings.TrimSpace(r.Text))
}

func TestParseNotReport(t *testing.T) {
	t.Parallel()
	deep := "Content-Type: multipart/report; boundary=b9\n\n--b9\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822;a\n--b9--\n"
	for i := 8; i >= 0; i-- {
		deep = fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n%s--b%d--\n", i, i, deep, i)
	}
	for name, text := range map[string]string{
		"plain mail":        "Subject: Returned mail\n\n550 5.1.1 failed\n",
		"empty":             "",
		"read receipt":      "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822;a\n--b--\n",
		"multipart, no DSN": "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n",
		"no end":            "Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n",
		"wrapped too deep":  deep,
	} {
		r, err := dsn.Parse(strings.NewReader(text), "x", nil)
		assert.Nil(t, r, name)
		assert.ErrorIs(t, err, dsn.ErrNotReport, name)
	}
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	text := "Content-Type: multipart/report; boundary=b\n\n--b\n\n" + strings.Repeat("x", 1000) + "\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; h\n\nFinal-Recipient: rfc822;a@b\nAction: failed\nStatus: 5.1.1\n" +
		"--b\nContent-Type: message/rfc822\n\nSubject: one\nX: two\nY: three\n\nbody\n--b--\n"
	_, err := dsn.Parse(strings.NewReader(text), "x", &dsn.ParseOptions{MaxReport: 20})
	require.ErrorIs(t, err, dsn.ErrTooBig)
	r, err := dsn.Parse(strings.NewReader(text), "x", &dsn.ParseOptions{MaxText: 10, MaxHeader: 25})
	require.NoError(t, err)
	assert.Len(t, r.Text, 10)
	assert.Equal(t, "Subject: one\nX: two\n", string(r.OriginalHeader))

	bad := strings.Replace(text, "Status: 5.1.1\n", strings.Repeat("no field\n", 5000), 1)
	r, err = dsn.Parse(strings.NewReader(bad), "x", nil)
	require.NotNil(t, r)
	var joined interface{ Unwrap() []error }
	require.ErrorAs(t, err, &joined)
	assert.LessOrEqual(t, len(joined.Unwrap()), 20)
}

// TestRoundTrip: Parse finds what New was told.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rcpts := []dsn.Recipient{
		failed(),
		{Original: "rfc822;List@example.org", Final: "rfc822;list@example.org", Actual: "x-unix;|/bin/false", Action: dsn.Failed,
			Status: mtakit.StatusSystem, Diagnostic: "x-unix; 69", LastAttempt: morning},
		{Final: "rfc822;late@example.net", Action: dsn.Delayed, Status: mtakit.StatusNoAnswer, RetryUntil: morning.Add(time.Hour), Fields: []dsn.Field{{"X-Why", "because"}}},
		{Final: "rfc822;ok@example.net", Action: dsn.Relayed, Status: mtakit.StatusAddressValid, RemoteMTA: "mx.example.net", Diagnostic: "250 2.1.5 ok", Notify: mtakit.NotifySuccess},
	}
	o := original()
	o.EnvID = "id 1"
	m := dsn.New(o, rcpts, options())
	r, err := dsn.Parse(strings.NewReader(write(t, m)), "own", nil)
	require.NoError(t, err)
	want := m.Report
	want.Recipients = append([]dsn.Recipient(nil), m.Recipients...)
	for i := range want.Recipients {
		rc := &want.Recipients[i]
		rc.Notify, rc.Reason, rc.RemoteMTA = 0, "", strings.TrimSuffix(rc.RemoteMTA, ".")
	}
	r.Arrived = r.Arrived.UTC()
	for i := range r.Recipients {
		rc := &r.Recipients[i]
		if !rc.LastAttempt.IsZero() {
			rc.LastAttempt = rc.LastAttempt.UTC()
		}
		if !rc.RetryUntil.IsZero() {
			rc.RetryUntil = rc.RetryUntil.UTC()
		}
	}
	assert.Equal(t, want, r.Report)
}

func TestParseTyped(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"rfc822;ann@example.org":       "ann@example.org",
		"RFC822 ; <ann@example.org>":   "ann@example.org",
		"utf-8;j\\x{F6}rg@example.org": "jörg@example.org",
		"UTF-8;jörg@example.org":       "jörg@example.org",
	} {
		a, err := dsn.ParseTyped(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, a.String())
	}
	for _, in := range []string{"x-unix;|prog", "utf-8;\\x{zz}", "utf-8;\\x{110000}", "utf-8;\\x{41", "rfc822;", ""} {
		_, err := dsn.ParseTyped(in)
		assert.Error(t, err, in)
	}
}

func TestParseReadError(t *testing.T) {
	t.Parallel()
	_, err := dsn.Parse(errReader{errors.New("oops")}, "x", nil)
	require.Error(t, err)
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }
