//go:build unix

package mbox

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit/internal/vfs"
)

const (
	oNoFollow = unix.O_NOFOLLOW // refuse a symbolic link in the last component
	oNonBlock = unix.O_NONBLOCK // do not wait for the other end of a FIFO
)

// links returns the number of hard links; ok is false where the file system does not tell.
func links(fi fs.FileInfo) (n uint64, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return uint64(st.Nlink), true
}

// owner returns the owner's uid.
func owner(fi fs.FileInfo) (uid int, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// duplicate returns another descriptor of an open file, which holds its kernel locks when f is closed. It is nil when
// there is none to be had; then they go with f.
func duplicate(f vfs.File) io.Closer {
	if f.Fd() == vfs.NoFd {
		return nil
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return descriptor(fd)
}

type descriptor int

func (fd descriptor) Close() error { return unix.Close(int(fd)) }

// processGone reports whether no process has this pid.
func processGone(pid int) bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

// keepAccessTime undoes what our look at the tail did: programs tell new mail by a modification time after the
// access time. Failing is harmless, and usual for somebody else's file.
func keepAccessTime(fsys vfs.FS, path string, before fs.FileInfo) {
	if atime, ok := accessTime(before); ok {
		_ = fsys.Chtimes(path, atime, time.Time{})
	}
}
