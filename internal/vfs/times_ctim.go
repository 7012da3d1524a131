//go:build unix && !(darwin || freebsd || netbsd)

package vfs

import "syscall"

func statTimes(st *syscall.Stat_t) (atime, ctime syscall.Timespec) { return st.Atim, st.Ctim }
