package vfs

import (
	"os"
	"testing"
)

// The share of opening a file that the os package spends on asking whether it can be polled.
func BenchmarkOpen(b *testing.B) {
	name := b.TempDir() + "/f"
	for _, c := range []struct {
		name string
		open func(string, int, os.FileMode) (*os.File, error)
	}{{"os", os.OpenFile}, {"vfs", openFile}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := c.open(name, os.O_WRONLY|os.O_CREATE, 0o600)
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}
