package vfs

import (
	"io/fs"
	"os"
	"reflect"
)

// SameFile reports whether two descriptions, both of one FS, are of the same file. It is os.SameFile that also
// knows the files of a Mem.
func SameFile(a, b fs.FileInfo) bool {
	if w, ok := a.(*memInfo); ok {
		x, ok := b.(*memInfo)
		return ok && w.ino == x.ino
	}
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		return false
	}
	return os.SameFile(a, b)
}
