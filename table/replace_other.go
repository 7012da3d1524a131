//go:build !unix

package table

import (
	"time"

	"github.com/mtakit/mtakit/internal/vfs"
)

// letGo closes the new and the old file, and so gives up their locks: Windows does not rename files that are open. Who
// opens the old one in the moment before the renaming makes it fail.
func letGo(tmp vfs.File, lock *Lock) {
	tmp.Close()
	lock.Close()
	lock.file = nil
}

// removeOpen removes a file that we have open, after closing it.
func removeOpen(fsys vfs.FS, f vfs.File, name string) error {
	f.Close()
	return fsys.Remove(name)
}

// setTime does nothing: no sendmail has the old file open.
func setTime(vfs.File, time.Time) error { return nil }
