package maildir

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maildirsize beyond the vectors: spellings of the limits, and sums that would leave the range of numbers.
func TestParseUsage(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		quota   Quota
		bytes   int64
		count   int64
		entries int
		bad     bool
	}{
		"bytes only":             {"500S\n10 1\n", Quota{Bytes: 500}, 10, 1, 1, false},
		"messages only":          {"3C\n10 1\n", Quota{Messages: 3}, 10, 1, 1, false},
		"no limits":              {"0S,0C\n10 1\n", Quota{}, 10, 1, 1, false},
		"last line unterminated": {"500S\n10 1\n-4 -1", Quota{Bytes: 500}, 6, 0, 2, false},
		"padded, empty lines":    {"500S\n\n     10      1\n\n", Quota{Bytes: 500}, 10, 1, 1, false},
		"limits twice":           {"500S,700S\n", Quota{Bytes: 700}, 0, 0, 0, false},
		"sum too large":          {"500S\n9223372036854775807 1\n9223372036854775807 1\n", Quota{Bytes: 500}, math.MaxInt64, 2, 2, false},
		"sum too small":          {"500S\n-9223372036854775807 -1\n-9223372036854775807 -1\n", Quota{Bytes: 500}, math.MinInt64, -2, 2, false},
		"empty":                  {"", Quota{}, 0, 0, 0, true},
		"empty first line":       {"\n10 1\n", Quota{}, 0, 0, 0, true},
		"other letter":           {"500S,3X\n", Quota{}, 0, 0, 0, true},
		"negative limit":         {"-500S\n", Quota{}, 0, 0, 0, true},
		"no letter":              {"500\n", Quota{}, 0, 0, 0, true},
		"one number":             {"500S\n10\n", Quota{}, 0, 0, 0, true},
		"three numbers":          {"500S\n10 1 1\n", Quota{}, 0, 0, 0, true},
		"fraction":               {"500S\n1.5 1\n", Quota{}, 0, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := ParseUsage(strings.NewReader(c.text))
			if c.bad {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, Usage{Quota: c.quota, Bytes: c.bytes, Messages: c.count, Entries: c.entries, FileSize: int64(len(c.text))}, u)
		})
	}
}

// A name may claim any size. The sum of two such must not look like little.
func TestCountHugeSizes(t *testing.T) {
	d := New(t.TempDir(), nil)
	require.NoError(t, d.Create())
	for _, name := range []string{"1.M1P1.h,S=9223372036854775807:2,S", "2.M1P1.h,S=9223372036854775807:2,S", "3.M1P1.h,S=99999999999999999999:2,S"} {
		require.NoError(t, os.WriteFile(filepath.Join(d.Path(), "cur", name), []byte("x"), 0o600))
	}
	bytes, messages, err := d.Count()
	require.NoError(t, err)
	require.Equal(t, int64(math.MaxInt64), bytes)
	require.Equal(t, int64(3), messages)
}

// A line longer than any keyword is skipped like other bad lines.
func TestParseKeywordsLongLine(t *testing.T) {
	k, err := ParseKeywords(strings.NewReader("0 good\n" + strings.Repeat("x", 1<<20) + "\n2 fine\r\n3 last"))
	require.NoError(t, err)
	require.Equal(t, "0 good\n2 fine\n3 last\n", k.String())
}
