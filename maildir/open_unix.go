//go:build unix

package maildir

import "golang.org/x/sys/unix"

// oNoFollow refuses a symbolic link in the last component.
const oNoFollow = unix.O_NOFOLLOW
