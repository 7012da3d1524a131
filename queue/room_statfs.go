//go:build linux || darwin || freebsd || dragonfly

package queue

import "golang.org/x/sys/unix"

// freeBytes is the room that a file system has for users other than root.
func freeBytes(dir string) (n int64, ok bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
