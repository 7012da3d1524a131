//go:build unix

package safefile

import (
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// attempts is how often a file that changes under our hands is looked at before ErrChanged.
const attempts = 4

// Open examines the file with the eyes of id and opens it for reading. Absent and Refused classify the error; any
// other error means that it cannot be told whether there is a file and what it says.
func (r *Root) Open(name string, id Identity, rules Rules) (*File, error) {
	s := r.Search(id, rules)
	return s.Open(name)
}

// Search is for opening the first that is there of several files, at once. It must not be kept.
type Search struct {
	root  *Root
	id    Identity
	rules Rules
	safe  string // a directory, relative to the root, that was found safe
}

// Search begins a search.
func (r *Root) Search(id Identity, rules Rules) Search { return Search{root: r, id: id, rules: rules} }

// Open is Root.Open, which does not look again at directories that an earlier call found safe.
func (s *Search) Open(name string) (*File, error) {
	r := s.root
	if !path.IsAbs(name) {
		return nil, Denied // sendmail has no directory to resolve a relative name in
	}
	parts, ok := r.split(name)
	if !ok {
		return nil, Outside
	}
	if len(parts) == 0 {
		return nil, NotRegular
	}
	if s.absent(parts) {
		return nil, unix.ENOENT
	}
	for range attempts {
		f, err := r.open(parts, s.id, s.rules)
		if err != ErrChanged {
			return f, err
		}
	}
	return nil, ErrChanged
}

// absent reports whether there is plainly no such file, and nothing to complain about: each directory above it is a safe
// one, and no link, that id may search. Most files that are looked for are not there, and telling so costs one system call
// a directory here, three in a walk. False says nothing.
func (s *Search) absent(parts []string) bool {
	fd, name := s.root.fd, strings.Join(parts, "/")
	var st unix.Stat_t
	if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != unix.ENOENT {
		return false
	}
	dir, _ := path.Split(name)
	if dir != "" && dir == s.safe {
		return true
	}
	w := &walk{root: s.root, id: s.id, trust: s.rules.TrustSticky}
	if w.start() != nil {
		return false
	}
	end := 0
	for _, part := range parts[:len(parts)-1] {
		if part == ".." {
			return false
		}
		end += len(part)
		if unix.Fstatat(fd, name[:end], &st, unix.AT_SYMLINK_NOFOLLOW) != nil ||
			st.Mode&unix.S_IFMT != unix.S_IFDIR || w.examine(&st) != nil {
			return false
		}
		end++
	}
	if w.first != "" {
		return false
	}
	s.safe = dir
	return true
}

func (r *Root) open(parts []string, id Identity, rules Rules) (*File, error) {
	w := &walk{root: r, id: id, trust: rules.TrustSticky}
	defer w.close()
	err := w.start()
	if err == nil {
		err = w.down(parts[:len(parts)-1])
	}
	unsafe, tolerated := w.verdict(rules)
	// Where only group writable directories are tolerated, sendmail complains about them if there is no file.
	if unsafe != "" && (!tolerated || Absent(err) && !rules.UnsafeDir && !rules.NoDirs) {
		return nil, unsafe
	}
	if err != nil {
		return nil, err
	}
	base, st, err := w.target(parts[len(parts)-1], unsafe == "" || rules.Linked, rules.MissingFirst)
	if err != nil {
		return nil, err
	}
	if reason := rules.check(&st, id, unsafe); reason != "" {
		return nil, reason
	}
	f, err := w.read(base, &st)
	if err != nil {
		return nil, err
	}
	file := &File{
		File: f,
		Mode: fs.FileMode(st.Mode & 0o777),
		Size: st.Size,
		UID:  int(st.Uid),
		GID:  int(st.Gid),
	}
	file.UnsafeDir = unsafe
	file.Vouched = rules.GroupWritableDir && !rules.UnsafeDir && unsafe == GroupWritableDir
	return file, nil
}

// verdict says which directory reason counts, and whether the rules put up with it.
func (w *walk) verdict(rules Rules) (unsafe Reason, tolerated bool) {
	unsafe = w.first
	if rules.GroupDirSafe {
		unsafe = w.other
	}
	switch {
	case unsafe == "", rules.UnsafeDir, rules.NoDirs:
		return unsafe, true
	case unsafe == GroupWritableDir && rules.GroupWritableDir:
		return unsafe, w.other == ""
	}
	return unsafe, false
}

// target finds the file called name in the current directory and follows it while it is a symbolic link. The
// directories that links lead through need not be safe. It returns the name of the file in the directory where it
// ended.
func (w *walk) target(name string, mayLink, missingFirst bool) (base string, st unix.Stat_t, err error) {
	for linked := false; ; {
		if st, err = w.look(name); err != nil {
			return "", st, err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			if linked && !mayLink {
				return "", st, SymLink
			}
			return name, st, nil
		}
		if linked = true; !mayLink && !missingFirst {
			return "", st, SymLink
		}
		link, err := readlinkat(w.here(), name)
		if err != nil {
			return "", st, ErrChanged
		}
		dir, base := path.Split(link)
		if base == "" || base == "." || base == ".." {
			return "", st, NotRegular // it names a directory
		}
		if w.links++; w.links > maxLinks {
			return "", st, unix.ELOOP
		}
		if dir != "" {
			if err := w.follow(dir); err != nil {
				return "", st, err
			}
		}
		name = base
	}
}

// look returns the status of a file, or of a symbolic link, in the current directory.
func (w *walk) look(name string) (st unix.Stat_t, err error) {
	if err = unix.Fstatat(w.here(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		err = w.cannotTell(err)
	}
	return st, err
}

// readFlags never block, never follow a link and never acquire a terminal.
const readFlags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC

// read opens for reading the file that was looked at, or fails with ErrChanged when it is another one by now.
func (w *walk) read(name string, seen *unix.Stat_t) (*os.File, error) {
	fd, err := openat(w.here(), name, readFlags)
	switch {
	case err == unix.ELOOP || err == unix.ENOENT || err == unix.ENXIO:
		return nil, ErrChanged
	case err != nil:
		return nil, w.cannotTell(err)
	}
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil || !sameFile(seen, &now) {
		unix.Close(fd)
		return nil, ErrChanged
	}
	return os.NewFile(uintptr(fd), name), nil
}

// check applies the rules about the file itself.
func (rules Rules) check(st *unix.Stat_t, id Identity, unsafe Reason) Reason {
	mode := uint32(st.Mode)
	owner := int(st.Uid)
	switch {
	case mode&unix.S_IFMT != unix.S_IFREG:
		return NotRegular
	case mode&unix.S_IWGRP != 0 && !rules.GroupWritable:
		return GroupWritableFile
	case mode&unix.S_IWOTH != 0 && !rules.WorldWritable:
		return WorldWritableFile
	case mode&0o111 != 0 && rules.NoExecute:
		return Executable
	case st.Nlink != 1 && unsafe != "" && !rules.Linked:
		return HardLink
	case rules.MustOwn && owner != id.UID && owner != 0 && (rules.TrustedUID == 0 || owner != rules.TrustedUID):
		return Denied
	case rules.OwnerBits && id.UID == 0:
		if mode&unix.S_IRUSR == 0 {
			return Denied
		}
	case !id.allows(st, wantRead):
		return Denied
	}
	return ""
}

// sameFile tells whether two looks were at the same file in the same state of protection.
func sameFile(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid
}

// UnsafeDirs lists the unsafe directories above a file, from the root down, as far as id can follow them. exists is
// true when the last one has an entry for the file, be it a link that leads nowhere.
func (r *Root) UnsafeDirs(name string, id Identity, rules Rules) (dirs []UnsafeDir, exists bool) {
	parts, ok := r.split(name)
	if !ok || len(parts) == 0 {
		return nil, false
	}
	at := r.prefix
	w := &walk{root: r, id: id, trust: rules.TrustSticky}
	w.found = func(reason Reason) {
		if reason == WorldWritableDir || !rules.GroupDirSafe {
			dirs = append(dirs, UnsafeDir{at, reason})
		}
	}
	defer w.close()
	if w.start() != nil {
		return dirs, false
	}
	base := len(parts) - 1
	for _, part := range parts[:base] {
		at = path.Join(at, part)
		if w.down([]string{part}) != nil {
			return dirs, false
		}
	}
	_, err := w.look(parts[base])
	return dirs, err == nil
}
