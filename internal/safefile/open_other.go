//go:build unix && !linux

package safefile

import "golang.org/x/sys/unix"

// searchFlags opens a directory for walking. Without O_PATH that needs read permission, which matters to a process
// that is not root.
const searchFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
