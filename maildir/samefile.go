package maildir

import (
	"io/fs"

	"github.com/mtakit/mtakit/internal/vfs"
)

// sameFile reports whether both are the same file.
func sameFile(a, b fs.FileInfo) bool { return vfs.SameFile(a, b) }
