package logfmt_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/logfmt"
)

const story = `Nov 22 08:13:31 mx sendmail[10]: 6AM8DVaa004701: from=<jane@example.com>, size=51, class=0, nrcpts=3, msgid=<1@x>, proto=ESMTP, daemon=MTA, relay=c [192.0.2.55]
Nov 22 08:13:31 mx sendmail[11]: 6AM8DVbb004702: from=root, size=51, class=0, nrcpts=1, msgid=<2@x>, relay=root@localhost
Nov 22 08:13:32 mx sendmail[12]: 6AM8DVaa004701: to=<b@x>,<a@x>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=30, relay=h. [192.0.2.1], dsn=4.7.1, reply=451 later, stat=Deferred: 451 later
Nov 22 08:13:32 mx sendmail[12]: 6AM8DVaa004701: to=<c@y>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=30, relay=i. [192.0.2.2], dsn=5.1.1, reply=550 no, stat=User unknown
Nov 22 08:13:32 mx sendmail[12]: 6AM8DVaa004701: 6AM8DWaa004712: DSN: User unknown
Nov 22 08:13:33 mx sendmail[12]: 6AM8DWaa004712: to=<jane@example.com>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=31, relay=c. [192.0.2.55], dsn=2.0.0, stat=Sent (ok)
Nov 22 09:13:32 mx sendmail[13]: 6AM8DVaa004701: to=<b@x>,<a@x>, delay=01:00:01, xdelay=00:00:01, mailer=esmtp, pri=120, relay=h. [192.0.2.1], dsn=2.0.0, stat=Sent (ok)
Nov 30 08:00:00 mx sendmail[14]: 6AN08000004799: from=<x@example.com>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=c [192.0.2.55]
`

func TestStitch(t *testing.T) {
	t.Parallel()
	now := &logfmt.ParseOptions{Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Location: time.UTC}
	var got []string
	for m, err := range logfmt.Stitch(logfmt.Parse(strings.NewReader(story), "log", now), nil) {
		require.NoError(t, err)
		s := fmt.Sprintf("%s finished=%v lines=%d parent=%s %s children=%v", m.ID, m.Finished, len(m.Lines), m.Parent, m.Origin, m.Children)
		for _, r := range m.Recipients {
			s += fmt.Sprintf(" | %s %v after %d in %v", r.Addr, r.Outcome, r.Attempts, r.Delay)
		}
		got = append(got, s)
	}
	assert.Equal(t, []string{
		"6AM8DVbb004702 finished=false lines=1 parent=  children=[]",
		"6AM8DWaa004712 finished=false lines=1 parent=6AM8DVaa004701 DSN children=[] | <jane@example.com> sent after 1 in 1s",
		"6AM8DVaa004701 finished=true lines=5 parent=  children=[6AM8DWaa004712] | <b@x> sent after 2 in 1h0m1s | <a@x> sent after 2 in 1h0m1s | <c@y> failed after 1 in 1s",
		"6AN08000004799 finished=false lines=1 parent=  children=[]",
	}, got)
}
