//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package mailtest

import (
	"os"
	"syscall"
)

// lockFile takes the lock that sendmail takes on queue files.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
