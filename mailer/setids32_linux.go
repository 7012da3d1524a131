//go:build 386 || arm

package mailer

import "golang.org/x/sys/unix"

// The system calls that take ids of 32 bits: those with the plain names take 16 here, and would read other groups.
const (
	sysSetgroups = unix.SYS_SETGROUPS32
	sysSetfsuid  = unix.SYS_SETFSUID32
	sysSetfsgid  = unix.SYS_SETFSGID32
)
