package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func BenchmarkZ(b *testing.B) {
	debug.SetGCPercent(10)
	for _, k := range []string{"hash", "btree", "cdb"} {
		b.Run(k, func(b *testing.B) {
			dir := b.TempDir()
			for b.Loop() {
				f, _ := os.Open("/tmp/tablestmp/bench/aliases.tab")
				c := &command{stdin: f, stdout: io.Discard, stderr: io.Discard, root: true}
				if n := c.run(context.Background(), []string{k, filepath.Join(dir, "o")}); n != 0 {
					b.Fatal(n)
				}
				f.Close()
			}
		})
	}
}
