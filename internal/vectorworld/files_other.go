//go:build !unix

package vectorworld

import (
	"errors"
	"io/fs"
	"os"
)

func makeFIFO(string) error { return errors.ErrUnsupported }

func chmod(name string, mode fs.FileMode) error { return os.Chmod(name, mode) }
