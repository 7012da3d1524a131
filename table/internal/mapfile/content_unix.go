//go:build unix

package mapfile

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// private says whether what was loaded stays as it was when others write to the file.
const private = false

// load maps the file.
func (c *content) load(size int) (err error) {
	if size == 0 {
		return nil
	}
	c.data, err = unix.Mmap(c.fd, 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return &fs.PathError{Op: "mmap", Path: c.f.Name(), Err: err}
	}
	_ = unix.Madvise(c.data, unix.MADV_RANDOM)
	return nil
}

func (c *content) unload() {
	if c.data != nil {
		_ = unix.Munmap(c.data)
	}
}

func (c *content) close() {
	c.unload()
	c.f.Close()
}

// ReadAt reads the file by pread(2).
func (c *content) ReadAt(p []byte, off int64) (int, error) { return c.f.ReadAt(p, off) }
