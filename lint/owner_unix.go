//go:build unix

package lint

import (
	"io/fs"
	"syscall"
)

// owner returns the user id that a file belongs to.
func owner(st fs.FileInfo) (int, bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(sys.Uid), true
}
