//go:build !linux

package maildir

import (
	"io/fs"
	"time"
)

// accessTime stands in with the modification time: the field's name differs between systems.
func accessTime(fi fs.FileInfo) time.Time { return fi.ModTime() }
