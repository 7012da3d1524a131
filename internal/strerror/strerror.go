// Package strerror words errors of the system as the C library does, and so as sendmail's programs print them.
package strerror

import (
	"errors"
	"strings"
	"syscall"
)

// Text returns the system's text for the errno in err's chain, "No such file or directory", or that of err when there is none.
func Text(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	t := errno.Error()
	if rest, ok := strings.CutPrefix(t, "errno "); ok {
		return "Unknown error " + rest
	}
	return strings.ToUpper(t[:1]) + t[1:]
}
