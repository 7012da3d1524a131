//go:build !(linux || darwin || freebsd || dragonfly)

package queue

func freeBytes(string) (n int64, ok bool) { return 0, false }
