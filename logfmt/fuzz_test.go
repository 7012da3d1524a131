package logfmt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzParse: whatever a line holds, its text comes out as it went in, and what a formatter makes of it is read as the same.
func FuzzParse(f *testing.F) {
	log, err := os.ReadFile(filepath.Join("testdata", "vectors", "maillog"))
	require.NoError(f, err)
	for i, line := range strings.Split(string(log), "\n") {
		if i%10 == 0 {
			f.Add(line)
		}
	}
	f.Add("Nov  2 12:00:00 mx x: ")
	f.Add("<13>Feb 29 12:00:60 x[1]: 6AM8DHw1004404[2]: a ...")
	form := NewFormatter(&Options{Host: "mx", Location: time.UTC})
	f.Fuzz(func(t *testing.T, text string) {
		opts := &ParseOptions{Location: time.UTC, Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
		l, err := ParseLine(text, opts)
		if err != nil {
			return
		}
		require.True(t, strings.HasSuffix(text, l.Text))
		switch l.Kind {
		case KindFrom:
			require.NotNil(t, l.From)
		case KindTo:
			require.NotNil(t, l.To)
		case KindPart:
			return
		default:
			require.NotEmpty(t, string(l.Kind))
		}
		plain := Unescape(l.Text)
		require.Equal(t, plain, Unescape(Escape(plain)))
		// As a log of its own, long lines joined again.
		id := "6AM8DHw1004404"
		record := form.AppendRecord(nil, l.Time, Info, id, plain)
		n := 0
		for again, err := range Parse(strings.NewReader(string(record)), "", opts) {
			require.NoError(t, err)
			require.Equal(t, id, again.ID)
			require.Equal(t, Escape(plain), again.Text)
			n++
		}
		require.Equal(t, 1, n)
	})
}
