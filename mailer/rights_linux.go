package mailer

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rights are those of a user on files.
type rights struct {
	uid, gid int
	user     string // for the supplementary groups; "" means none
}

// noChange stands for the process's own rights.
var noChange = rights{uid: -1, gid: -1}

// changes reports whether do has something to change: only a process of root may.
func (r rights) changes() bool { return r.uid >= 0 && os.Geteuid() == 0 && r.uid != 0 }

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

// groups returns the supplementary groups of the user, as initgroups(3) sets them.
func (r rights) groups() ([]int, error) {
	gids := []int{r.gid}
	if r.user == "" {
		return gids, nil
	}
	u, err := user.Lookup(r.user)
	if err != nil {
		var unknown user.UnknownUserError
		if errors.As(err, &unknown) { // an account of a table of the caller's own
			return gids, nil
		}
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil && n != r.gid {
			gids = append(gids, n)
		}
	}
	return gids, nil
}

// setThread sets the calling thread's rights on files.
func setThread(uid, gid int, groups []int) error {
	raw := make([]uint32, len(groups)+1) // never empty: its address is taken
	for i, g := range groups {
		raw[i] = uint32(g)
	}
	// unix.Setgroups would change every thread of the process.
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&raw[0])), 0); e != 0 {
		return fmt.Errorf("setgroups: %w", e)
	}
	// These two return the old value and no error: what counts is what a second call finds.
	unix.RawSyscall(unix.SYS_SETFSGID, uintptr(gid), 0, 0)
	unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0)
	g, _, _ := unix.RawSyscall(unix.SYS_SETFSGID, ^uintptr(0), 0, 0)
	u, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, ^uintptr(0), 0, 0)
	if int(int32(u)) != uid || int(int32(g)) != gid {
		return fmt.Errorf("rights of uid %d, gid %d cannot be taken", uid, gid)
	}
	return nil
}
