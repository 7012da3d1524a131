//go:build unix

package filelock

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit/internal/vfs"
)

// TryFlock takes a flock(2) lock. It returns false when another holder is in the way.
func TryFlock(f vfs.File, exclusive bool) (bool, error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	if f.Fd() == vfs.NoFd {
		return true, nil
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case errors.Is(err, unix.EINTR):
			continue
		}
		return false, err
	}
}

// Unlock gives up a lock of TryFlock. Closing the file does so too, unless a process that is being forked at that moment
// has it for an instant longer; then others find it locked though we let it go.
func Unlock(f vfs.File) {
	if f.Fd() != vfs.NoFd {
		_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	}
}

// TryOFD takes a write lock (exclusive) or read lock of fcntl(2) over the whole file, as an open file description
// lock. It conflicts with the classic POSIX locks of other processes. It returns false when another holder is in
// the way.
func TryOFD(f vfs.File, exclusive bool) (bool, error) {
	if f.Fd() == vfs.NoFd {
		return true, nil
	}
	lk := unix.Flock_t{Type: unix.F_RDLCK}
	if exclusive {
		lk.Type = unix.F_WRLCK
	}
	for {
		err := unix.FcntlFlock(f.Fd(), setlk, &lk)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
			return false, nil
		case errors.Is(err, unix.EINTR):
			continue
		}
		return false, err
	}
}
