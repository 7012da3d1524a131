package mailer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeFile makes an empty file with an owner at a name that must be free. Where the file system can have files without a
// name, it gets its first one when it is complete, so that a crash leaves nothing.
func makeFile(path string, own rights) error {
	fd, err := unix.Open(filepath.Dir(path), unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.EINVAL): // NFS, and kernels before 3.11
		return makeAside(path, own)
	case err != nil:
		return &fs.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if err := prepare(f, own); err != nil {
		return err
	}
	err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if errors.Is(err, unix.ENOENT) { // without /proc
		err = unix.Linkat(fd, "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: "new file", New: path, Err: err}
	}
	return nil
}

// moveNew moves a file to a name that must be free, in one step where the file system can.
func moveNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS): // NFS, and kernels before 3.15
		return linkNew(from, to)
	}
	return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
}
