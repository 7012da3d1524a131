//go:build unix

package mbox

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit/internal/vfs"
)

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
