package dsn_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/dsn"
)

// FuzzParse: no message makes Parse fail otherwise than by an error, and what it finds can be reported again.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.eml", "testdata/sendmail/*.eml"} {
		names, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, name := range names {
			b, err := os.ReadFile(name)
			require.NoError(f, err)
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, _ := dsn.Parse(bytes.NewReader(b), "fuzz", nil)
		if r == nil {
			return
		}
		require.LessOrEqual(t, len(r.Failures())+len(r.Delays()), len(r.Recipients))
		m := dsn.New(original(), r.Recipients, options())
		if m == nil {
			return
		}
		var out strings.Builder
		_, err := m.WriteTo(&out)
		require.NoError(t, err)
		again, err := dsn.Parse(strings.NewReader(out.String()), "own", nil)
		require.NotNil(t, again, "%v\n%s", err, out.String())
		require.Len(t, again.Recipients, len(m.Recipients), out.String())
		for i := range m.Recipients {
			require.Equal(t, m.Recipients[i].Action, again.Recipients[i].Action)
		}
	})
}
