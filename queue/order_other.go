//go:build !linux

package queue

import "github.com/mtakit/mtakit/internal/vfs"

func ordersChanges(string) bool { return false }

func startWriting(vfs.File) error { return nil }

func finishWriting(f vfs.File) error { return f.Sync() }
