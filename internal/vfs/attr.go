package vfs

import (
	"io/fs"
	"os"
	"time"
)

// Attr is what the system knows about a file besides its fs.FileInfo.
type Attr struct {
	Dev, Ino uint64
	Nlink    uint64 // hard links
	UID, GID int
	Accessed time.Time // when it was last read; zero where that is not told
	Changed  time.Time // when anything about it last changed, be it its name
}

// AttrOf returns the attributes of a file of any FS; ok is false on systems whose files have none.
func AttrOf(fi fs.FileInfo) (a Attr, ok bool) {
	if m, isMem := fi.(*memInfo); isMem {
		return Attr{
			Dev: memDev, Ino: m.ino, Nlink: uint64(m.nlink), UID: os.Geteuid(), GID: os.Getegid(), Accessed: m.atime, Changed: m.mtime,
		}, true
	}
	return systemAttr(fi)
}

// memDev is the device number of every Mem.
const memDev = 0x6d656d
