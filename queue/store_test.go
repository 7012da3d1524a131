package queue_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/queue"
	"github.com/mtakit/mtakit/queue/queuetest"
)

func TestDirKeepsTheContract(t *testing.T) {
	var paths sync.Map
	open := func(t *testing.T, path string, o *queue.DirOptions) queue.Store {
		d, err := queue.Open(path, o)
		require.NoError(t, err)
		paths.Store(d, path)
		return d
	}
	for name, test := range map[string]struct {
		make func(t *testing.T) string
		o    queue.DirOptions
	}{
		"single":  {func(t *testing.T) string { return t.TempDir() }, queue.DirOptions{}},
		"disk":    {func(t *testing.T) string { return t.TempDir() }, queue.DirOptions{MemoryBody: -1}},
		"nosync":  {func(t *testing.T) string { return t.TempDir() }, queue.DirOptions{SuperSafe: queue.SuperSafeFalse}},
		"several": {func(t *testing.T) string { return tree(t, "q1", "q2/qf", "q2/df", "q3/xf") + "/q*" }, queue.DirOptions{}},
		"subdirs": {func(t *testing.T) string { return tree(t, "qf", "df", "xf") }, queue.DirOptions{}},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "single" {
				t.Skip("short: the plain directory is enough")
			}
			t.Parallel()
			queuetest.TestStore(t, queuetest.Config{
				New: func(t *testing.T) queue.Store { return open(t, test.make(t), &test.o) },
				Again: func(t *testing.T, s queue.Store) queue.Store {
					p, _ := paths.Load(s)
					return open(t, p.(string), &test.o)
				},
			})
		})
	}
}

func tree(t *testing.T, dirs ...string) string {
	root := t.TempDir()
	for _, d := range dirs {
		require.NoError(t, os.MkdirAll(filepath.Join(root, d), 0o700))
	}
	return root
}
