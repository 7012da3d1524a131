package smtp_test

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestObserved compares dsn= and stat= with those of sendmail 8.17.1.9 (Debian 12), which delivered to a server that
// answered one command with one reply: testdata/observed.tsv has stage, reply, dsn and stat. Lines marked with a
// leading "!" are deliberate differences: replies that make no sense are temporary here.
func TestObserved(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/observed.tsv")
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	n := 0
	for lines.Scan() {
		field := strings.Split(lines.Text(), "\t")
		require.Len(t, field, 4, lines.Text())
		stage, differs := strings.CutPrefix(field[0], "!")
		n++
		t.Run(stage+" "+field[1], func(t *testing.T) {
			t.Parallel()
			var network mailtest.Network
			srv := mailtest.NewUnstarted(t)
			srv.Network, srv.Extensions = &network, []string{"ENHANCEDSTATUSCODES"}
			srv.Always(mailtest.Stage(stage), mailtest.Reply(field[1]))
			srv.Start()
			m := newMailer(t, smtp.Options{Dial: network.Dial})
			r := m.Deliver(t.Context(), attempt(srv.Addr, text, "u@sink.test"))[0]
			o := outcomeOf(r)
			dsn, stat := o.Status, o.Text
			switch {
			case r.Err == nil:
				dsn, stat = "2.0.0", "Sent ("+r.Reply+")"
				if stage != string(mailtest.OnDot) {
					stat = "Sent (done)" // the text of another server
				}
			case o.Temporary && o.Reply != "":
				stat = "Deferred: " + o.Reply
			}
			if differs {
				assert.True(t, o.Temporary)
				return
			}
			assert.Equal(t, field[2], dsn)
			assert.Equal(t, field[3], stat)
		})
	}
	require.NoError(t, lines.Err())
	require.Greater(t, n, 100)
}
