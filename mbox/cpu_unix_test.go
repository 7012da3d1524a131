//go:build unix

package mbox

import "syscall"

// cpu is the processor time of this process in nanoseconds: it moves less with other load than the clock does.
func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
