package stats_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/stats"
)

// FuzzParse: every record that is accepted is written back byte for byte, and can be listed.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob("testdata/vectors/*.st")
	require.NoError(f, err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := stats.Parse(bytes.NewReader(b), "st")
		if err != nil || len(b) == 0 {
			return
		}
		out, err := c.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b[:stats.Size], out)
		require.NoError(t, c.List(io.Discard, nil))
	})
}

// FuzzParseConfig: no configuration makes it fail otherwise than by too many mailers.
func FuzzParseConfig(f *testing.F) {
	names, err := filepath.Glob("testdata/vectors/*.cf")
	require.NoError(f, err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := stats.ParseConfig(bytes.NewReader(b), "cf")
		if err != nil {
			require.ErrorIs(t, err, stats.ErrTooManyMailers)
			return
		}
		require.LessOrEqual(t, len(c.Mailers), stats.MaxMailers)
		for _, m := range c.Mailers {
			require.LessOrEqual(t, len(m), 20)
		}
	})
}
