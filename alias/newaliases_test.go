package alias_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/alias"
)

// TestNewaliasesOrder: files take their turns in sendmail's order, which is not that of the option; one that somebody else has
// locked is left out.
func TestNewaliasesOrder(t *testing.T) {
	t.Parallel()
	sources, err := alias.ParseSources("/n/0,/n/1,null:,/n/3,text:/n/4,/n/5,/n/6,/n/7")
	require.NoError(t, err)
	sources, err = alias.AppendSources(sources, "/n/8,/n/9,/n/10,/n/11")
	require.NoError(t, err)
	n := alias.Newaliases{Lock: func(name string) bool { return name != "/n/3" }}
	var got []string
	for _, line := range n.Run(sources).Lines {
		got = append(got, strings.TrimSuffix(strings.TrimPrefix(line, "newaliases: cannot open /n/"), ": No such file or directory"))
	}
	assert.Equal(t, []string{"8", "9", "Alias file /n/3 is locked (maybe being rebuilt)", "0", "1", "6", "7", "5", "10", "11"}, got)
}

// TestNewaliasesRelative: relative names begin in Dir, and the database goes there.
func TestNewaliasesRelative(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "queue"), 0o755))
	for _, name := range []string{"outer", "queue/inner"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("a: b\n"), 0o644))
	}
	var created []string
	n := alias.Newaliases{
		Dir: filepath.Join(dir, "queue"),
		Create: func(_ alias.Source, name string) (alias.Database, error) {
			created = append(created, name)
			return &memory{entries: make(map[string]string)}, nil
		},
	}
	sources, err := alias.ParseSources("inner,none")
	require.NoError(t, err)
	rep := n.Run(sources)
	assert.Equal(t, []string{"inner: 1 aliases, longest 1 bytes, 2 bytes total", "newaliases: cannot open none: No such file or directory"}, rep.Lines)
	assert.Equal(t, []string{filepath.Join(dir, "queue/inner")}, created)
	n.Dir = ""
	assert.Equal(t, []string{"newaliases: cannot open inner: Permission denied", "newaliases: cannot open none: Permission denied"}, n.Run(sources).Lines)
}

// TestTooManySources: 128 are the most, over several options.
func TestTooManySources(t *testing.T) {
	t.Parallel()
	sources, err := alias.ParseSources(strings.Repeat("/a,", 128))
	require.NoError(t, err)
	sources, err = alias.AppendSources(sources, "/b,/c")
	require.EqualError(t, err, "Too many alias databases defined, 128 max")
	assert.Len(t, sources, 128)
}
