//go:build unix

package table

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit/internal/vfs"
)

// letGo does nothing: names may change while files are open.
func letGo(vfs.File, *Lock) {}

// removeOpen removes a file that we have open and, for others, locked.
func removeOpen(fsys vfs.FS, _ vfs.File, name string) error { return fsys.Remove(name) }

// setTime sets the times of an open file, whatever its name is by now. It leaves a file of somebody else's as it is.
func setTime(f vfs.File, at time.Time) error {
	tv := unix.NsecToTimeval(at.UnixNano())
	if err := unix.Futimes(int(f.Fd()), []unix.Timeval{tv, tv}); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("touch %s: %w", f.Name(), err)
	}
	return nil
}
