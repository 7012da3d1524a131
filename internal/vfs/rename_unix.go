//go:build unix

package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// rename is os.Rename without the look at the new name that it begins with. What cannot be done is left to os.Rename to put
// into words.
func rename(oldname, newname string) error {
	if unix.Rename(oldname, newname) == nil {
		return nil
	}
	return os.Rename(oldname, newname)
}
