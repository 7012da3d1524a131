package logfmt_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/logfmt"
)

func parseAll(t testing.TB, text string, o *logfmt.ParseOptions) (lines []*logfmt.Line, errs []error) {
	t.Helper()
	for l, err := range logfmt.Parse(strings.NewReader(text), "log", o) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lines = append(lines, l)
	}
	return lines, errs
}

func TestParseKeepsGoodLines(t *testing.T) {
	t.Parallel()
	lines, errs := parseAll(t, "Nov  2 12:00:00 mx sendmail[1]: 6AM8DSgX004705: discarded\n"+
		"not a log line\n"+
		"\n"+
		"<22>Nov  2 12:00:00 sendmail[1]: 6AM8DSgX004705: discarded\r\n"+
		"Nov 32 12:00:00 mx sendmail[1]: x\n"+
		"2026-11-02T12:00:00.25+01:00 mx sm-mta[7]: NOQUEUE: connect from h [192.0.2.1]\n"+
		"Nov  2 12:00:00 mx kernel: something else", nil)
	var got []string
	for _, l := range lines {
		got = append(got, l.Pos.String()+" "+l.Tag+" "+string(l.Kind))
	}
	assert.Equal(t, []string{"log:1 sendmail discarded", "log:4 sendmail discarded", "log:6 sm-mta connect", "log:7 kernel other"}, got)
	require.Len(t, errs, 3)
	var se *mtakit.SyntaxError
	require.ErrorAs(t, errs[0], &se)
	assert.Equal(t, 2, se.Pos.Line)
	require.ErrorIs(t, errs[0], logfmt.ErrNoHeader)
	assert.Equal(t, time.Date(2026, 11, 2, 11, 0, 0, 250_000_000, time.UTC), lines[2].Time.UTC())
}

func TestParseYear(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)
	for stamp, want := range map[string]int{"Jan  1 00:00:00": 2027, "Jan  2 23:00:00": 2027, "Jan  4 00:00:00": 2026, "Dec 31 23:59:59": 2026, "Feb 29 00:00:00": 2024} {
		l, err := logfmt.ParseLine(stamp+" mx x: y", &logfmt.ParseOptions{Now: now, Location: time.UTC})
		require.NoError(t, err)
		assert.Equal(t, want, l.Time.Year(), stamp)
	}
}

func TestParseLongLines(t *testing.T) {
	t.Parallel()
	f := logfmt.NewFormatter(opts())
	text := "Milter (tm) add: header: X: " + strings.Repeat("word, ", 600)
	long := string(f.AppendRecord(nil, noon, logfmt.Info, "6AM8DSgX004705", text))
	require.Greater(t, strings.Count(long, "\n"), 3)
	// Another process logs in between.
	i := strings.Index(long, "\n") + 1
	mixed := long[:i] + "Nov  2 12:00:00 mx sendmail[43]: 6AM8DSgX004705: discarded\n" + long[i:]
	lines, errs := parseAll(t, mixed, nil)
	require.Empty(t, errs)
	require.Len(t, lines, 2)
	assert.Equal(t, logfmt.KindDiscarded, lines[0].Kind)
	assert.Equal(t, text, "Milter (tm) add: "+lines[1].Field("text"))

	lines, errs = parseAll(t, long[:i], nil)
	require.Empty(t, errs)
	require.Len(t, lines, 1, "a piece without an end is not lost")
	assert.Equal(t, logfmt.KindPart, lines[0].Kind)
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	text := "Nov  2 12:00:00 mx x: " + strings.Repeat("a", 200_000) + "\nNov  2 12:00:00 mx x: y\n"
	lines, errs := parseAll(t, text, nil)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], logfmt.ErrTooLong)
	require.Len(t, lines, 1)
	assert.Equal(t, 2, lines[0].Pos.Line)
	_, errs = parseAll(t, text, &logfmt.ParseOptions{MaxLine: 300_000})
	assert.Empty(t, errs)
}

func TestParseReadError(t *testing.T) {
	t.Parallel()
	oops := errors.New("oops")
	r := io.MultiReader(strings.NewReader("Nov  2 12:00:00 mx x: y\n"), iotest.ErrReader(oops))
	n := 0
	var last error
	for _, err := range logfmt.Parse(r, "log", nil) {
		n++
		last = err
	}
	assert.Equal(t, 2, n)
	require.ErrorIs(t, last, oops)
}

func TestParseOddTo(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, to, relay, reply, stat string }{
		{"comma in quotes", `to=<"a,b"@x>,<c@x>, delay=00:00:00, pri=1, stat=Sent`, `<"a,b"@x>|<c@x>`, "", "", "Sent"},
		{"unbalanced", `to=bad<<addr,c, delay=00:00:00, pri=1, stat=Sent`, `bad<<addr|c`, "", "", "Sent"},
		{"delay= in an address", `to=<"x, delay=1"@x>, delay=00:00:00, pri=1, stat=Sent`, `<"x, delay=1"@x>`, "", "", "Sent"},
		{"fields in the reply", `to=a, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=1, relay=h. [192.0.2.1], dsn=4.0.0, reply=451 x, dsn=9, stat=Deferred: 451 x, dsn=9`,
			"a", "h. [192.0.2.1]", "451 x, dsn=9", "Deferred: 451 x, dsn=9"},
		{"empty list", `to=, delay=00:00:00, pri=1, stat=queued`, "", "", "", "queued"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			l, err := logfmt.ParseLine("Nov  2 12:00:00 mx sendmail[1]: 6AM8DSgX004705: "+tc.text, nil)
			require.NoError(t, err)
			require.NotNil(t, l.To, l.Kind)
			assert.Equal(t, tc.to, strings.Join(l.To.To, "|"))
			assert.Equal(t, [3]string{tc.relay, tc.reply, tc.stat}, [3]string{l.To.Relay, l.To.Reply, l.To.Stat})
		})
	}
}
