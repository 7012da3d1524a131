package mailer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// do runs f, on this goroutine, with the file system rights of the user. They belong to the thread, not to the
// process (setfsuid(2), setfsgid(2), setgroups(2) by raw system calls), so other goroutines keep theirs; f must not
// leave its file operations to other goroutines.
func (r rights) do(f func() error) error {
	if !r.changes() {
		return f()
	}
	groups, err := r.groups()
	if err != nil {
		return err
	}
	own, err := unix.Getgroups()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := setThread(r.uid, r.gid, groups); err != nil {
		_ = setThread(0, os.Getegid(), own)
		runtime.UnlockOSThread()
		return err
	}
	ferr := f()
	if err := setThread(0, os.Getegid(), own); err != nil {
		// The thread cannot be given back. It stays locked to this goroutine and ends with it.
		return errors.Join(ferr, err)
	}
	runtime.UnlockOSThread()
	return ferr
}

// setThread sets the calling thread's rights on files.
func setThread(uid, gid int, groups []int) error {
	raw := make([]uint32, len(groups)+1) // never empty: its address is taken
	for i, g := range groups {
		raw[i] = uint32(g)
	}
	// unix.Setgroups would change every thread of the process.
	if _, _, e := unix.RawSyscall(sysSetgroups, uintptr(len(groups)), uintptr(unsafe.Pointer(&raw[0])), 0); e != 0 {
		return fmt.Errorf("setgroups: %w", e)
	}
	// These two return the old value and no error: what counts is what a second call finds.
	unix.RawSyscall(sysSetfsgid, uintptr(gid), 0, 0)
	unix.RawSyscall(sysSetfsuid, uintptr(uid), 0, 0)
	g, _, _ := unix.RawSyscall(sysSetfsgid, ^uintptr(0), 0, 0)
	u, _, _ := unix.RawSyscall(sysSetfsuid, ^uintptr(0), 0, 0)
	if int(int32(u)) != uid || int(int32(g)) != gid {
		return fmt.Errorf("rights of uid %d, gid %d cannot be taken", uid, gid)
	}
	return nil
}
