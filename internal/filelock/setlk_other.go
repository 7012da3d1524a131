//go:build unix && !linux

package filelock

import "golang.org/x/sys/unix"

// setlk takes a classic lock, which belongs to the process and goes with any descriptor of the file: all there is here.
// Goroutines of one process line up in a Queue before.
const setlk = unix.F_SETLK
