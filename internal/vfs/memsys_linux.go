package vfs

import "syscall"

// Sys returns what stat(2) would: callers that look at links, owners and inode numbers work on a Mem, too. Files
// belong to the user that runs the process.
func (i *memInfo) Sys() any {
	st := &syscall.Stat_t{
		Dev: memDev, Ino: i.ino, Mode: uint32(i.mode.Perm()), Size: i.size,
		Uid: uint32(syscall.Geteuid()), Gid: uint32(syscall.Getegid()),
		Atim: syscall.NsecToTimespec(i.atime.UnixNano()),
		Mtim: syscall.NsecToTimespec(i.mtime.UnixNano()),
		Ctim: syscall.NsecToTimespec(i.mtime.UnixNano()),
	}
	setLinks(&st.Nlink, i.nlink)
	if i.IsDir() {
		st.Mode |= syscall.S_IFDIR
	} else {
		st.Mode |= syscall.S_IFREG
	}
	return st
}

// setLinks hides that the type of a link count differs between machines.
func setLinks[T ~uint32 | ~uint64](to *T, n int) { *to = T(n) }
