package maildir

import (
	"io/fs"
	"syscall"
	"time"
)

// accessTime returns the time of the last access.
func accessTime(fi fs.FileInfo) time.Time {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Atim != (syscall.Timespec{}) {
		return time.Unix(st.Atim.Unix())
	}
	return fi.ModTime()
}
