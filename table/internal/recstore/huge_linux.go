package recstore

import "golang.org/x/sys/unix"

// largePages asks for large pages for whole pages of memory.
func largePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
