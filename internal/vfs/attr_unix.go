//go:build unix

package vfs

import (
	"io/fs"
	"syscall"
	"time"
)

func systemAttr(fi fs.FileInfo) (a Attr, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return a, false
	}
	atime, ctime := statTimes(st)
	return Attr{
		Dev: uint64(st.Dev), Ino: uint64(st.Ino), Nlink: uint64(st.Nlink), UID: int(st.Uid), GID: int(st.Gid),
		Accessed: time.Unix(atime.Unix()), Changed: time.Unix(ctime.Unix()),
	}, true
}
