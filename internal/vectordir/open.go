// Package vectordir finds, for tests, the cases that the real programs answered: a package's own, or the set of the same
// form that $MTAKIT_VECTORS names.
package vectordir

import (
	"archive/zip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Open opens the cases of an area: the directory $MTAKIT_VECTORS/AREA when that variable is set, and otherwise own, which is
// a directory or a zip file in testdata. A set without the area skips the test.
func Open(t testing.TB, area, own string) fs.FS {
	t.Helper()
	root := os.Getenv("MTAKIT_VECTORS")
	if root == "" {
		return Own(t, own)
	}
	dir := filepath.Join(root, area)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no vectors for %s in %s", area, root)
	} else if err != nil {
		t.Fatal(err)
	}
	return os.DirFS(dir)
}

// Own opens the package's own cases whatever the environment says.
func Own(t testing.TB, name string) fs.FS {
	t.Helper()
	if !strings.HasSuffix(name, ".zip") {
		return os.DirFS(name)
	}
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Close() })
	return z
}

// Files returns the names of all files whose name ends with suffix, sorted. None is a failure of the test.
func Files(t testing.TB, fsys fs.FS, suffix string) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(d.Name(), suffix) {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatalf("no %s file among the vectors", suffix)
	}
	return names
}
