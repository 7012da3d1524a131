package filelock

import (
	"errors"

	"golang.org/x/sys/windows"

	"github.com/mtakit/mtakit/internal/vfs"
)

// Locks are mandatory on Windows: who has a lock on bytes keeps others from reading and writing them. So that ours are
// advisory, as they are on Unix, they are on single bytes far behind the end of any file. Only programs made with this
// module know them.
const (
	flockByte = 0x7fff_fffe
	ofdByte   = 0x7fff_fffd
)

// TryFlock takes a lock in the manner of flock(2). It returns false when another holder is in the way.
func TryFlock(f vfs.File, exclusive bool) (bool, error) { return try(f, exclusive, flockByte) }

// TryOFD takes a lock in the manner of a lock of fcntl(2) that belongs to the open file.
func TryOFD(f vfs.File, exclusive bool) (bool, error) { return try(f, exclusive, ofdByte) }

// Unlock gives up a lock of TryFlock. Closing the file does so too, a little later.
func Unlock(f vfs.File) {
	if f.Fd() != vfs.NoFd {
		_ = windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &windows.Overlapped{OffsetHigh: flockByte})
	}
}

func try(f vfs.File, exclusive bool, offsetHigh uint32) (bool, error) {
	if f.Fd() == vfs.NoFd {
		return true, nil
	}
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: offsetHigh})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}
