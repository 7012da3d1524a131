package logfmt

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLongLines splits 120 texts of random length and content as sendmail 8.17.1.9 did: NOOP commands with long arguments, sent
// to a daemon with LogLevel 15, and what came out of its syslog socket.
func TestLongLines(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join("testdata", "longlines.jsonl.gz"))
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	sc := bufio.NewScanner(z)
	sc.Buffer(nil, 1<<20)
	n, lines := 0, 0
	for sc.Scan() {
		var c struct {
			Text  string
			Bytes []int // in place of Text when it is not ASCII
			Lines []string
		}
		require.NoError(t, json.Unmarshal(sc.Bytes(), &c))
		text := c.Text
		for _, b := range c.Bytes {
			text += string([]byte{byte(b)})
		}
		first, err := ParseLine(c.Lines[0], &ParseOptions{Location: time.UTC})
		require.NoError(t, err)
		form := NewFormatter(&Options{Syslog: true, PID: first.PID, Location: time.UTC})
		got := string(form.AppendRecord(nil, first.Time, first.Severity, first.ID, text))
		want := strings.Join(c.Lines, "\n") + "\n"
		require.Equal(t, want, got, "case %d", n+1)
		for l, err := range Parse(strings.NewReader(want), "log", &ParseOptions{Location: time.UTC}) {
			require.NoError(t, err)
			require.Equal(t, Kind("smtp_in"), l.Kind)
			require.Equal(t, text, "<-- "+l.Field("line"))
		}
		n++
		lines += len(c.Lines)
	}
	require.NoError(t, sc.Err())
	assert.Equal(t, 120, n)
	assert.Greater(t, lines, 250)
}
