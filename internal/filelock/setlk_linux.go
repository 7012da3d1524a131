package filelock

import "golang.org/x/sys/unix"

// setlk takes a lock that belongs to the open file description.
const setlk = unix.F_OFD_SETLK
