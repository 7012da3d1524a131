//go:build !unix

package vfs

import (
	"io/fs"
	"os"
)

// There are no such flags here.
const (
	NoFollow = 0
	NonBlock = 0
)

func openFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

// syncDir finds out whether there is the directory: Windows has no call that makes names durable, and its file system keeps a
// journal of them.
func syncDir(name string) error {
	_, err := os.Stat(name)
	return err
}

// known has fi find out which file it is of, for SameFile. On Windows it would do so when it is first compared, by the name, which
// may lead elsewhere by then.
func known(fi fs.FileInfo, err error) (fs.FileInfo, error) {
	if err == nil {
		os.SameFile(fi, fi)
	}
	return fi, err
}
