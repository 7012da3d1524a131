package mailtest

import "syscall"

// What the operating system says when nobody listens, and when the peer has gone.
const (
	errRefused = syscall.ECONNREFUSED
	errReset   = syscall.EPIPE
)
