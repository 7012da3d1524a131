//go:build darwin || freebsd || netbsd

package vfs

import "syscall"

func statTimes(st *syscall.Stat_t) (atime, ctime syscall.Timespec) { return st.Atimespec, st.Ctimespec }
