//go:build unix

package safefile

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is the tree that files are looked up in. It holds a descriptor of its directory, so that renaming the
// directory does not matter. It may be used by several goroutines at once, but not after Close.
type Root struct {
	fd     int
	prefix string // clean absolute path that names the directory in file names
}

// NewRoot opens directory dir. Names given to Open must begin with prefix, which stands for dir; "" means dir itself.
// NewRoot("/", "") is the whole file system, NewRoot("/srv/mail", "") confines to that directory, and
// NewRoot("/srv/jail", "/") behaves like chroot(2). Directories above dir are not examined: naming it is trusting it.
func NewRoot(dir, prefix string) (*Root, error) {
	if prefix == "" {
		prefix = dir
	}
	if !path.IsAbs(prefix) {
		return nil, fmt.Errorf("root directory %s: not an absolute path", prefix)
	}
	fd, err := unix.Open(dir, searchFlags&^unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("root directory %s: %w", dir, err)
	}
	return &Root{fd: fd, prefix: path.Clean(prefix)}, nil
}

// Close releases the descriptor.
func (r *Root) Close() error { return unix.Close(r.fd) }

// split turns an absolute name into components below the root. ok is false for a name outside of it.
func (r *Root) split(name string) (parts []string, ok bool) {
	rest, ok := strings.CutPrefix(name, r.prefix)
	if !ok || r.prefix != "/" && rest != "" && rest[0] != '/' {
		return nil, false
	}
	return strings.FieldsFunc(rest, func(c rune) bool { return c == '/' }), true
}

// dir is a place in a walk: an open directory and how it was reached.
type dir struct {
	fd    int
	owned bool // close fd when leaving
}

// walk is the state of one walk from the root down to a file.
type walk struct {
	root  *Root
	id    Identity
	trust bool   // sticky directories are safe
	stack []dir  // from the root to where we are
	links int    // symbolic links followed
	first Reason // the first unsafe directory
	other Reason // the first one that is unsafe even if group write does not matter
	found func(Reason)
}

const maxLinks = 20

func (w *walk) here() int { return w.stack[len(w.stack)-1].fd }

func (w *walk) close() {
	for _, d := range w.stack {
		if d.owned {
			unix.Close(d.fd)
		}
	}
	w.stack = nil
}

// start begins at the root directory. It examines it when it plays the part of "/"; the directory that somebody
// chose to confine us to is trusted as it is.
func (w *walk) start() error {
	w.close()
	w.stack = append(w.stack, dir{fd: w.root.fd})
	if w.root.prefix != "/" {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(w.root.fd, &st); err != nil {
		return err
	}
	return w.examine(&st)
}

// examine notes whether the directory is unsafe, and fails when id may not search it.
func (w *walk) examine(st *unix.Stat_t) error {
	if mode := uint32(st.Mode); !(w.trust && mode&unix.S_ISVTX != 0) {
		switch {
		case mode&unix.S_IWOTH != 0:
			w.note(WorldWritableDir)
		case mode&unix.S_IWGRP != 0:
			w.note(GroupWritableDir)
		}
	}
	if !w.id.allows(st, wantSearch) {
		return Denied
	}
	return nil
}

func (w *walk) note(r Reason) {
	if w.found != nil {
		w.found(r)
	}
	if w.first == "" {
		w.first = r
	}
	if w.other == "" && r == WorldWritableDir {
		w.other = r
	}
}

// down enters the directories named by parts, following links.
func (w *walk) down(parts []string) error {
	for i := 0; i < len(parts); i++ {
		switch parts[i] {
		case ".":
			continue
		case "..":
			if err := w.up(); err != nil {
				return err
			}
			continue
		}
		fd, err := openat(w.here(), parts[i], searchFlags)
		if err == unix.ELOOP || err == unix.ENOTDIR { // O_NOFOLLOW met a symbolic link, or something else
			target, lerr := readlinkat(w.here(), parts[i])
			if lerr != nil {
				return err
			}
			if err := w.follow(target); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return w.cannotTell(err)
		}
		w.stack = append(w.stack, dir{fd, true})
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if err := w.examine(&st); err != nil {
			return err
		}
	}
	return nil
}

// up goes to the parent directory, never above the root: there ".." of a confined root leads outside, and ".." of
// the file system's root is the root.
func (w *walk) up() error {
	if len(w.stack) == 1 {
		if w.root.prefix == "/" {
			return nil
		}
		return Outside
	}
	unix.Close(w.here())
	w.stack = w.stack[:len(w.stack)-1]
	return nil
}

// follow enters the directory that a symbolic link in the current directory names.
func (w *walk) follow(target string) error {
	if w.links++; w.links > maxLinks {
		return unix.ELOOP
	}
	parts := strings.FieldsFunc(target, func(c rune) bool { return c == '/' })
	if path.IsAbs(target) {
		var ok bool
		if parts, ok = w.root.split(target); !ok {
			return Outside
		}
		if err := w.start(); err != nil {
			return err
		}
	}
	return w.down(parts)
}

// cannotTell keeps apart what the kernel refuses to this process from what it refuses to id. The mode bits were
// examined before, so that an EACCES here is about us, not about the user.
func (w *walk) cannotTell(err error) error {
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w for this process", err)
	}
	return err
}

func openat(dirfd int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dirfd, name, flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func readlinkat(dirfd int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dirfd, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
