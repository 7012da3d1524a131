//go:build !unix

package mbox

import (
	"io"

	"github.com/mtakit/mtakit/internal/vfs"
)

// duplicate has none.
func duplicate(vfs.File) io.Closer { return nil }

// processGone cannot be told: a lock goes stale by age alone.
func processGone(int) bool { return false }
