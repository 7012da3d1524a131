package stats

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestParseConfigLines has what mailstats 8.17.1.9 makes of odd lines.
func TestParseConfigLines(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return "D" + strings.Repeat("y", n-1) }
	tests := []struct {
		name, text string
		mailers    string // behind the built-in ones
		file       string
		set        bool
	}{
		{"nothing", "", "", "", false},
		{"a name ends at comma, space or comment", "Ma, P=x\nMb P=x\nMc#d\nMe\tP=x\nM f\n", "a b c e ", "", false},
		{"a name ends at a NUL", "Ma\x00b, P=x\nMc\n", "a c", "", false},
		{"a second time", "Ma\nMb\nMa\nMprog\n", "a b", "", false},
		{"2046 bytes are one line", long(2046) + "Ma\nMb\n", "b", "", false},
		{"2047 bytes are a piece", long(2047) + "Ma\nMb\n", "a b", "", false},
		{"2048 bytes are one and a bit", long(2048) + "Ma\nMb\n", "b", "", false},
		{"two pieces", long(4094) + "Ma\nMb\n", "a b", "", false},
		{"an option in a later piece", long(2047) + "O StatusFile=st\n", "", "st", true},
		{"no newline at the end", "Ma\nO StatusFile=st", "a", "st", true},
		{"CR LF", "Ma\r\nO StatusFile=st\r\n", "a", "st", true},
		{"option without a value", "O StatusFile=\n", "", "", true},
		{"old option without a value", "OS\n", "", "", true},
		{"option without =", "O StatusFile st\n", "", "", false},
		{"option in other letters", "O statusFILE = st \n", "", "st", true},
		{"another option", "O StatusFiles=st\nO StatusFile2=st\n", "", "", false},
		{"the last one counts", "O StatusFile=a\nOSb\n", "", "b", true},
		{"old option keeps blanks", "OS  st\n", "", "  st", true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := ParseConfig(strings.NewReader(tc.text), "cf")
			require.NoError(t, err)
			assert.Equal(t, tc.mailers, strings.Join(c.Mailers[len(builtin):], " "))
			assert.Equal(t, tc.file, c.StatusFile)
			assert.Equal(t, tc.set, c.StatusFileSet)
		})
	}
}

// TestListTimes has what mailstats prints for times that no counting began at.
func TestListTimes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		since int64
		want  string
	}{
		{1795335256, "Sun Nov 22 08:14:16 2026\n"},
		{0, "Thu Jan  1 00:00:00 1970\n"},
		{-1, "Wed Dec 31 23:59:59 1969\n"},
		{-62135596800, "Mon Jan  1 00:00:00 1\n"},
		{-62167219201, "Fri Dec 31 23:59:59 -1\n"},
		{253402300800, "Sat Jan  1 00:00:00 10000\n"},
		{-67768040609740800, "Thu Jan  1 00:00:00 -2147481748\n"},
		{67768036191676799, "(null) M "},
		{-67768040609740801, "(null) M "},
	}
	for _, tc := range tests {
		c := Counters{Since: time.Unix(tc.since, 0)}
		b, err := c.AppendBinary(nil)
		require.NoError(t, err)
		if tc.since == -62135596800 {
			copy(b[8:], []byte{0x00, 0x09, 0x6e, 0x88, 0xf1, 0xff, 0xff, 0xff})
		}
		var got Counters
		require.NoError(t, got.decode(b))
		var out strings.Builder
		require.NoError(t, got.List(&out, &ListOptions{Location: time.UTC}))
		assert.True(t, strings.HasPrefix(out.String(), "Statistics from "+tc.want), "%d: %s", tc.since, out.String())
		again, err := got.AppendBinary(nil)
		require.NoError(t, err)
		assert.Equal(t, b, again)
	}
}
