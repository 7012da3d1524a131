//go:build unix

package vfs

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Flags for OpenFile; on systems without them they are zero.
const (
	NoFollow = unix.O_NOFOLLOW // refuse a symbolic link in the last component
	NonBlock = unix.O_NONBLOCK // do not wait for the other end of a FIFO
)

// openFile is os.OpenFile with one system call instead of six: the os package tries whether the file can be polled,
// which a plain file never can, and puts it back.
func openFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	mode := uint32(perm.Perm())
	if perm&fs.ModeSetuid != 0 {
		mode |= unix.S_ISUID
	}
	if perm&fs.ModeSetgid != 0 {
		mode |= unix.S_ISGID
	}
	if perm&fs.ModeSticky != 0 {
		mode |= unix.S_ISVTX
	}
	for {
		fd, err := unix.Open(name, flag|unix.O_CLOEXEC, mode)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

func syncDir(name string) error {
	d, err := openFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// known does nothing: what was found says which file it was.
func known(fi fs.FileInfo, err error) (fs.FileInfo, error) { return fi, err }
