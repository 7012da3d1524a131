//go:build !unix

package safefile

import (
	"errors"
	"fmt"
	"runtime"
)

// Root cannot be had here: files have no owners and modes that could be judged, and to believe them unseen would be unsafe.
type Root struct{}

// NewRoot fails.
func NewRoot(dir, prefix string) (*Root, error) {
	return nil, fmt.Errorf("root directory %s: owners and modes of files on %s: %w", dir, runtime.GOOS, errors.ErrUnsupported)
}

// Close does nothing.
func (*Root) Close() error { return nil }

// Open fails.
func (*Root) Open(string, Identity, Rules) (*File, error) { return nil, errors.ErrUnsupported }

// UnsafeDirs finds none.
func (*Root) UnsafeDirs(string, Identity, Rules) ([]UnsafeDir, bool) { return nil, false }

// Search finds nothing.
type Search struct{}

// Search returns a Search that finds nothing.
func (*Root) Search(Identity, Rules) Search { return Search{} }

// Open fails.
func (*Search) Open(string) (*File, error) { return nil, errors.ErrUnsupported }
