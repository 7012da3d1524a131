//go:build unix

package vectorworld

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

func makeFIFO(name string) error { return unix.Mkfifo(name, 0o644) }

// chmod sets the mode as a number; os.Chmod would not know the set-user-id bits in it.
func chmod(name string, mode fs.FileMode) error { return unix.Chmod(name, uint32(mode)) }
