package maildir

import (
	"io/fs"
	"iter"

	"github.com/mtakit/mtakit/internal/vfs"
)

// dirent is one entry of a directory.
type dirent struct {
	name string
	typ  fs.FileMode // 0 for a plain file; fs.ModeIrregular when it is not known
}

// readDir yields the entries of a directory. Of the operating system's own file system it holds only a block of
// them at a time: a Maildir may have a million.
func readDir(fsys vfs.FS, dir string) iter.Seq2[dirent, error] {
	if fsys == vfs.OS {
		return streamDir(dir)
	}
	return func(yield func(dirent, error) bool) {
		all, err := fsys.ReadDir(dir)
		if err != nil {
			yield(dirent{}, err)
			return
		}
		for _, e := range all {
			if !yield(dirent{e.Name(), e.Type()}, nil) {
				return
			}
		}
	}
}
