//go:build !linux

package mailer

import (
	"errors"
	"fmt"
	"runtime"
)

// do runs f. Only Linux gives rights to a single thread; elsewhere a process of root refuses what is to be done in
// another user's name, rather than do it as root.
func (r rights) do(f func() error) error {
	if r.changes() {
		return fmt.Errorf("delivery by root as uid %d on %s: %w", r.uid, runtime.GOOS, errors.ErrUnsupported)
	}
	return f()
}
