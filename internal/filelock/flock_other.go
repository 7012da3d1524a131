//go:build !unix && !windows

package filelock

import (
	"errors"

	"github.com/mtakit/mtakit/internal/vfs"
)

// TryFlock is not supported here.
func TryFlock(f vfs.File, exclusive bool) (bool, error) {
	return f.Fd() == vfs.NoFd, noLocks(f)
}

// Unlock does nothing here.
func Unlock(vfs.File) {}

// TryOFD is not supported here.
func TryOFD(f vfs.File, exclusive bool) (bool, error) {
	return f.Fd() == vfs.NoFd, noLocks(f)
}

func noLocks(f vfs.File) error {
	if f.Fd() == vfs.NoFd {
		return nil
	}
	return errors.ErrUnsupported
}
