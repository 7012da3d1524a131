//go:build !unix

package mbox

import (
	"io"
	"io/fs"

	"github.com/mtakit/mtakit/internal/vfs"
)

// There are no such flags here.
const (
	oNoFollow = 0
	oNonBlock = 0
)

func links(fs.FileInfo) (n uint64, ok bool) { return 0, false }

func owner(fs.FileInfo) (uid int, ok bool) { return 0, false }

// duplicate has none.
func duplicate(vfs.File) io.Closer { return nil }

// processGone cannot be told: a lock goes stale by age alone.
func processGone(int) bool { return false }

func keepAccessTime(vfs.FS, string, fs.FileInfo) {}
