//go:build !unix

package vfs

import "os"

func rename(oldname, newname string) error { return os.Rename(oldname, newname) }
