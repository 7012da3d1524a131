//go:build !linux

package mbox

import (
	"io/fs"
	"time"
)

// accessTime is not known here: the field's name differs between systems.
func accessTime(fs.FileInfo) (t time.Time, ok bool) { return time.Time{}, false }
