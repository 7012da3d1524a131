package durable_test

import (
	"fmt"
	"io"

	"github.com/mtakit/mtakit/internal/durable"
	"github.com/mtakit/mtakit/internal/vfs"
)

// A file is replaced as a whole, and stays replaced.
func ExampleWriteFile() {
	mem := vfs.NewMem(nil)
	err := durable.WriteFile(mem, "aliases", 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, "postmaster: ann\n")
		return err
	})
	fmt.Println(err)

	after := mem.Crash(vfs.CrashDrop, 0) // the power fails at once
	fi, err := after.Stat("aliases")
	fmt.Println(fi.Size(), err)
	// Output:
	// <nil>
	// 16 <nil>
}
