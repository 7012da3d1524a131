package table

import (
	"os"
	"slices"
	"time"

	"github.com/mtakit/mtakit/internal/vfs"
)

// fileStamp is what tells one state of a file from another without reading it. The zero value is a file that is not there.
type fileStamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // in nanoseconds; ctime is the last change of anything about the file
	fresh        bool  // the file changed so shortly before it was looked at that a second change might not show
}

// freshTime is longer than the steps of a file system's clock: within it two changes can have the same time.
const freshTime = 20 * time.Millisecond

// stampFile looks at the file. One that cannot be looked at is like one that is not there: loading will say why.
func stampFile(name string) fileStamp {
	fi, err := os.Stat(name)
	if err != nil {
		return fileStamp{}
	}
	attr, ok := vfs.AttrOf(fi)
	if !ok { // where files have no such attributes, size and time must do
		attr = vfs.Attr{Ino: 1, Changed: fi.ModTime()}
	}
	return fileStamp{
		dev: attr.Dev, ino: attr.Ino, size: fi.Size(), mtime: fi.ModTime().UnixNano(), ctime: attr.Changed.UnixNano(),
		fresh: time.Since(attr.Changed) < freshTime,
	}
}

func stampFiles(names []string) []fileStamp {
	stamps := make([]fileStamp, len(names))
	for i, name := range names {
		stamps[i] = stampFile(name)
	}
	return stamps
}

// sameStamps reports whether the files are what they were, as far as that can be seen.
func sameStamps(a, b []fileStamp) bool {
	return slices.EqualFunc(a, b, func(x, y fileStamp) bool {
		x.fresh, y.fresh = false, false
		return x == y
	})
}

// changed reports whether files look other than in old, or might have changed unseen since.
func changed(files []string, old []fileStamp) bool {
	if len(files) != len(old) {
		return len(files) != 0
	}
	for i, name := range files {
		now := stampFile(name)
		fresh := old[i].fresh
		now.fresh = fresh
		if now != old[i] || fresh {
			return true
		}
	}
	return false
}
