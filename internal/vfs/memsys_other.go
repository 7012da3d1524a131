//go:build !linux

package vfs

// Sys returns nil: only the Linux form of the stat structure is modelled.
func (i *memInfo) Sys() any { return nil }
