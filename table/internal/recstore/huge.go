package recstore

import "unsafe"

// Huge returns an empty slice with room for n elements without pointers, and asks the system for large pages when it is large:
// random access to many small pages costs more than the access itself. The system may decline, which does no harm.
func Huge[T byte | uint32 | uint64](n int) []T {
	s := make([]T, 0, n)
	const page = 4096
	start := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	size := uintptr(n) * unsafe.Sizeof(*new(T))
	skip := -start & (page - 1)
	if size >= 4<<20 {
		b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), size)
		largePages(b[skip : skip+(size-skip)&^(page-1)])
	}
	return s
}
