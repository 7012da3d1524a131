//go:build !linux

package recstore

func largePages([]byte) {}
