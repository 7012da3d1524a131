// Package vectorfile makes the files of a vectors' world below a directory, with owners and modes: what the keys files,
// dirs and nohome of a case or configuration describe. It serves tests only, and needs root.
package vectorfile

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit"
)

// File is an entry of files.
type File struct {
	Path, Type, Content, Target, Mode string
	Owner, Group                      ID
}

// Dir is an entry of dirs.
type Dir struct {
	Path, Mode   string
	Owner, Group ID
}

// ID is a user or group, by name or number; not Set when it is missing or null.
type ID struct {
	Set bool
	N   int
}

// UnmarshalJSON reads a name, a number or null.
func (id *ID) UnmarshalJSON(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		*id = ID{}
	case float64:
		*id = ID{true, int(v)}
	case string:
		n, ok := ids[v]
		if !ok {
			return fmt.Errorf("user or group %s is not known", v)
		}
		*id = ID{true, n}
	default:
		return fmt.Errorf("owner %s", text)
	}
	return nil
}

func (id ID) or(n int) int {
	if id.Set {
		return id.N
	}
	return n
}

// Users are the accounts of the world common to all vectors. Each has a group of its own name and number.
var Users = []mtakit.Account{
	{Name: "root", Home: "/root", Shell: "/bin/bash", FullName: "root"},
	{Name: "daemon", UID: 1, GID: 1, Home: "/usr/sbin", Shell: "/usr/sbin/nologin"},
	{Name: "bin", UID: 2, GID: 2, Home: "/bin", Shell: "/usr/sbin/nologin"},
	{Name: "mail", UID: 8, GID: 8, Home: "/var/mail", Shell: "/usr/sbin/nologin"},
	{Name: "smmsp", UID: 120, GID: 120, Home: "/var/lib/sendmail", Shell: "/usr/sbin/nologin"},
	{Name: "smmta", UID: 121, GID: 121, Home: "/var/lib/sendmail", Shell: "/usr/sbin/nologin"},
	{Name: "nobody", UID: 65534, GID: 65534, Home: "/nonexistent", Shell: "/usr/sbin/nologin"},
	{Name: "mtk1", UID: 2001, GID: 2001, Home: "/home/mtk1", Shell: "/bin/sh", FullName: "Ann Example"},
	{Name: "mtk2", UID: 2002, GID: 2002, Home: "/home/mtk2", Shell: "/bin/sh", FullName: "Bob Q. Sample"},
	{Name: "mtk3", UID: 2003, GID: 2003, Home: "/home/mtk3", Shell: "/bin/sh"},
	{Name: "mtk4", UID: 2004, GID: 2004, Home: "/home/mtk4", Shell: "/usr/sbin/nologin"},
	{Name: "mtk5", UID: 2005, GID: 2005, Home: "/home/nonexistent", Shell: "/bin/sh"},
	{Name: "mtk6", UID: 2006, GID: 2006, Home: "/home/mtk6", Shell: "/opt/oddshell"},
	{Name: "mtk7", UID: 2007, GID: 2007, Home: "/", Shell: "/bin/sh"},
	{Name: "mtk8", UID: 2008, GID: 2008, Home: "/home/mtk8", Shell: "/bin/sh"},
	{Name: "mtk9", UID: 2009, GID: 2009, Home: "/home/mtk9", Shell: "/bin/sh"},
	{Name: "ann.lee", UID: 2010, GID: 2010, Home: "/home/ann.lee", Shell: "/bin/sh"},
	{Name: "a-b_c", UID: 2011, GID: 2011, Home: "/home/a-b_c", Shell: "/bin/sh"},
	{Name: "Mixed", UID: 2012, GID: 2012, Home: "/home/Mixed", Shell: "/bin/sh"},
	{Name: "mtk+x", UID: 2013, GID: 2013, Home: "/home/mtk+x", Shell: "/bin/sh"},
}

// User returns the account with a user id.
func User(uid int) (mtakit.Account, bool) {
	for _, u := range Users {
		if u.UID == uid {
			return u, true
		}
	}
	return mtakit.Account{}, false
}

// team is the group that mtk1 and mtk2 are members of besides their own.
const team = 2100

// Member tells whether a user is in a group besides the user's own.
func Member(user string, gid int) bool { return gid == team && (user == "mtk1" || user == "mtk2") }

// Shells is the shells file of the world.
var Shells = map[string]bool{
	"/bin/sh": true, "/usr/bin/sh": true, "/bin/bash": true, "/usr/bin/bash": true, "/bin/rbash": true,
	"/usr/bin/rbash": true, "/bin/dash": true, "/usr/bin/dash": true, "/usr/bin/tmux": true, "/bin/tmux": true,
}

// ids are the numbers of all users and groups.
var ids = func() map[string]int {
	m := map[string]int{"team": team, "nogroup": 65534}
	for _, u := range Users {
		m[u.Name] = u.UID
	}
	return m
}()

// World makes the directories that every case has: /etc/mail and the homes, except those of nohome.
func World(root string, nohome []string) error {
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{"etc/mail", "home", "var/tmp", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	missing := make(map[string]bool)
	for _, name := range nohome {
		missing[name] = true
	}
	for _, u := range Users {
		if filepath.Dir(u.Home) != "/home" || filepath.Base(u.Home) != u.Name || missing[u.Name] {
			continue
		}
		home := filepath.Join(root, u.Home)
		if err := os.Mkdir(home, 0o755); err != nil {
			return err
		}
		if err := os.Chown(home, u.UID, u.GID); err != nil {
			return err
		}
	}
	return nil
}

// Put makes one file. A file that is in its way goes, except a directory for a directory.
func Put(root string, f File) error {
	name := filepath.Join(root, f.Path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if fi, err := os.Lstat(name); f.Type != "dir" || err == nil && !fi.IsDir() {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	mode := f.Mode
	if mode == "" {
		mode = "0644"
	}
	var err error
	switch f.Type {
	case "", "file":
		err = os.WriteFile(name, Latin1(f.Content), 0o600)
	case "dir":
		if f.Mode == "" {
			mode = "0755"
		}
		err = os.MkdirAll(name, 0o755)
	case "fifo":
		err = unix.Mkfifo(name, 0o600)
	case "hardlink":
		return os.Link(filepath.Join(root, f.Target), name)
	case "symlink":
		if err := os.Symlink(f.Target, name); err != nil {
			return err
		}
		uid := f.Owner.or(0)
		return os.Lchown(name, uid, f.Group.or(uid))
	default:
		return fmt.Errorf("%s: type %s", f.Path, f.Type)
	}
	if err != nil {
		return err
	}
	uid := f.Owner.or(0)
	if err := os.Chown(name, uid, f.Group.or(uid)); err != nil {
		return err
	}
	return Chmod(name, mode)
}

// Set changes a directory's mode and owner.
func Set(root string, d Dir) error {
	name := filepath.Join(root, d.Path)
	if d.Owner.Set || d.Group.Set {
		uid := d.Owner.or(-1)
		if err := os.Chown(name, uid, d.Group.or(uid)); err != nil {
			return err
		}
	}
	if d.Mode == "" {
		return nil
	}
	return Chmod(name, d.Mode)
}

// Chmod sets a mode given in octal.
func Chmod(name, mode string) error {
	m, err := strconv.ParseUint(mode, 8, 32)
	if err != nil {
		return err
	}
	perm := fs.FileMode(m & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&bit != 0 {
			perm |= flag
		}
	}
	return os.Chmod(name, perm)
}

// Latin1 turns text in which every character stands for one byte into those bytes.
func Latin1(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

// Text is the opposite of Latin1.
func Text(s string) string {
	r := make([]rune, 0, len(s))
	for i := 0; i < len(s); i++ {
		r = append(r, rune(s[i]))
	}
	return string(r)
}
