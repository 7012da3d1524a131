package vfs_test

import (
	"fmt"
	"io"
	"os"

	"github.com/mtakit/mtakit/internal/vfs"
)

// A file that was renamed into place before its data was synced may be found empty.
func ExampleMem_Crash() {
	mem := vfs.NewMem(nil)
	f, _ := mem.OpenFile("tmp", os.O_WRONLY|os.O_CREATE, 0o600)
	io.WriteString(f, "hello")
	f.Close()
	mem.Rename("tmp", "letter")
	mem.SyncDir("/")

	fi, err := mem.Crash(vfs.CrashDrop, 0).Stat("letter")
	fmt.Println(fi.Size(), err)
	// Output: 0 <nil>
}

// A Faults counts what a program does, and stops it at any of its steps.
func ExampleFaults() {
	f := vfs.NewFaults(vfs.NewMem(nil), vfs.OpChange)
	f.StopAt(3)
	file, _ := f.OpenFile("x", os.O_WRONLY|os.O_CREATE, 0o600)
	io.WriteString(file, "hello")
	fmt.Println(file.Sync())
	fmt.Println(f.Trace())
	// Output:
	// file system stopped by a fault test
	// [1 create x 0 2 write x 5 3 sync x 0]
}
