//go:build !unix

package vfs

import "io/fs"

func systemAttr(fs.FileInfo) (a Attr, ok bool) { return a, false }
