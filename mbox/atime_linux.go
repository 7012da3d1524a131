package mbox

import (
	"io/fs"
	"syscall"
	"time"
)

// accessTime returns the time of the last access.
func accessTime(fi fs.FileInfo) (t time.Time, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(st.Atim.Unix()), true
}
