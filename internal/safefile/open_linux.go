package safefile

import "golang.org/x/sys/unix"

// searchFlags opens a directory for walking. O_PATH needs no permission on it.
const searchFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
