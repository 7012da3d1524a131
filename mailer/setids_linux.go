//go:build !386 && !arm

package mailer

import "golang.org/x/sys/unix"

// The system calls that take ids of 32 bits.
const (
	sysSetgroups = unix.SYS_SETGROUPS
	sysSetfsuid  = unix.SYS_SETFSUID
	sysSetfsgid  = unix.SYS_SETFSGID
)
