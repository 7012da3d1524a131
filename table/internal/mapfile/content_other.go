//go:build !unix

package mapfile

import (
	"bytes"
	"io"
	"os"

	"github.com/mtakit/mtakit/internal/filelock"
)

// private says whether what was loaded stays as it was when others write to the file.
const private = true

// load reads the file and closes it: where names do not change while files are open, an open one could not be replaced.
func (c *content) load(size int) error {
	c.data = make([]byte, size)
	_, err := io.ReadFull(c.f, c.data)
	filelock.Unlock(c.f)
	c.f.Close()
	return err
}

func (c *content) unload() {}

func (c *content) close() {}

// look returns the state of the file that has the name now.
func (c *content) look() (now stamp, ok bool) {
	fi, err := os.Stat(c.f.Name())
	if err != nil {
		return now, false
	}
	return stampOf(fi), true
}

// ReadAt reads what is in memory.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(c.data).ReadAt(p, off)
}
