//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package mailtest

import (
	"errors"
	"os"
)

// lockFile: without flock(2) there is no sendmail queue to share.
func lockFile(*os.File) error { return errors.ErrUnsupported }
