package vfs

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
)

// MemOptions chooses how a Mem behaves. The zero value is the strictest file system that POSIX allows.
type MemOptions struct {
	// Journal makes the file system as kind as ext4 with an ordered journal: directory changes reach the disk in
	// the order in which they were made, and a sync of any file or directory takes all earlier ones along. Without
	// it a directory change is durable only after SyncDir of its directory, and changes in other directories, or
	// under other names, may survive or be lost in any combination.
	Journal bool
	// BlockSize is the unit in which unsynced data survives or is lost, in bytes. Zero means 4096.
	BlockSize int
	// Space is the number of bytes that files may hold together; a write beyond it ends short with ENOSPC. Zero
	// means no limit.
	Space int64
	// Now is the clock of modification times. Nil means time.Now.
	Now func() time.Time
}

// Mem is a file system in memory that knows what a power cut would leave of it. Data written to a file survives
// once File.Sync returned, and a directory entry (made by creation, rename, link or removal) once SyncDir of its
// directory returned; Crash shows the rest being lost. A rename is one change: after a crash the file has the old
// name or the new one, never both or none, also between directories.
//
// Names are cleaned with filepath.Clean and looked up from one root, so that "a/b" and "/a/b" are the same file. The
// root exists, every other directory must be made. There are no symbolic links, and modes are kept but not enforced.
// FileInfo.Sys returns a *syscall.Stat_t with device, inode number, link count and size.
//
// A Mem is safe for concurrent use; its files may be used by several goroutines, too.
type Mem struct {
	opts    MemOptions
	mu      sync.Mutex
	root    *inode
	lastIno uint64
	used    int64
	pending []*change // directory changes not yet durable, oldest first
}

// inode is a file or directory. Its name lives in the directories that link it.
type inode struct {
	ino   uint64
	mode  fs.FileMode
	mtime time.Time
	atime time.Time
	nlink int
	opens int

	// A file: what readers see, and what is on the disk. dirty holds the numbers of the blocks that may differ.
	data    []byte
	durable []byte
	dirty   map[int64]bool

	// A directory: what readers see, and what is on the disk.
	entries    map[string]*inode
	durEntries map[string]*inode
}

// change is one directory operation: edits that become durable together.
type change struct{ edits []edit }

type edit struct {
	dir  *inode
	name string
	to   *inode // nil removes the name
}

type slot struct {
	dir  *inode
	name string
}

// NewMem makes an empty file system. Nil options mean the zero value.
func NewMem(opts *MemOptions) *Mem {
	m := &Mem{}
	if opts != nil {
		m.opts = *opts
	}
	if m.opts.BlockSize == 0 {
		m.opts.BlockSize = 4096
	}
	if m.opts.Now == nil {
		m.opts.Now = time.Now
	}
	m.root = m.newInode(fs.ModeDir | 0o755)
	m.root.nlink = 2
	return m
}

func (m *Mem) newInode(mode fs.FileMode) *inode {
	m.lastIno++
	now := m.opts.Now()
	n := &inode{ino: m.lastIno, mode: mode, mtime: now, atime: now}
	if mode.IsDir() {
		n.entries = map[string]*inode{}
		n.durEntries = map[string]*inode{}
	} else {
		n.dirty = map[int64]bool{}
	}
	return n
}

func split(name string) []string {
	name = strings.Trim(filepath.ToSlash(filepath.Clean("/"+name)), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// find walks to name. Caller holds mu.
func (m *Mem) find(name string) (*inode, error) {
	n := m.root
	for _, part := range split(name) {
		if !n.mode.IsDir() {
			return nil, syscall.ENOTDIR
		}
		next := n.entries[part]
		if next == nil {
			return nil, syscall.ENOENT
		}
		n = next
	}
	return n, nil
}

// parent walks to the directory of name and returns it with the last element. Caller holds mu.
func (m *Mem) parent(name string) (*inode, string, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", syscall.EBUSY
	}
	base := parts[len(parts)-1]
	if len(base) > 255 {
		return nil, "", syscall.ENAMETOOLONG
	}
	dir, err := m.find(strings.Join(parts[:len(parts)-1], "/"))
	if err != nil {
		return nil, "", err
	}
	if !dir.mode.IsDir() {
		return nil, "", syscall.ENOTDIR
	}
	return dir, base, nil
}

// apply performs a directory change in memory and remembers that it is not durable yet. Caller holds mu.
func (m *Mem) apply(edits ...edit) {
	now := m.opts.Now()
	for _, e := range edits {
		if old := e.dir.entries[e.name]; old != nil {
			old.nlink--
			m.drop(old)
		}
		if e.to == nil {
			delete(e.dir.entries, e.name)
		} else {
			e.dir.entries[e.name] = e.to
			e.to.nlink++
		}
		e.dir.mtime = now
	}
	m.pending = append(m.pending, &change{edits})
}

// drop gives back the space of a file that has neither name nor user. Caller holds mu.
func (m *Mem) drop(n *inode) {
	if n.nlink == 0 && n.opens == 0 {
		m.used -= int64(len(n.data))
	}
}

// OpenFile opens or creates a file as open(2) does. Directories can be opened for reading, to sync them.
func (m *Mem) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.open(name, flag, perm)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	n.opens++
	return &memFile{m: m, n: n, name: name, flag: flag}, nil
}

func (m *Mem) open(name string, flag int, perm fs.FileMode) (*inode, error) {
	n, err := m.find(name)
	write := flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch {
	case err == syscall.ENOENT && flag&os.O_CREATE != 0:
		dir, base, err := m.parent(name)
		if err != nil {
			return nil, err
		}
		n = m.newInode(perm.Perm())
		m.apply(edit{dir, base, n})
		return n, nil
	case err != nil:
		return nil, err
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, syscall.EEXIST
	case n.mode.IsDir() && write:
		return nil, syscall.EISDIR
	}
	if flag&os.O_TRUNC != 0 && write {
		m.resize(n, 0)
	}
	return n, nil
}

// Rename moves a file or directory as rename(2) does, replacing a file of the new name.
func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(oldname, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (m *Mem) rename(oldname, newname string) error {
	from, oldbase, err := m.parent(oldname)
	if err != nil {
		return err
	}
	to, newbase, err := m.parent(newname)
	if err != nil {
		return err
	}
	n := from.entries[oldbase]
	if n == nil {
		return syscall.ENOENT
	}
	old := to.entries[newbase]
	switch {
	case old == n:
		return nil // POSIX: two names of one file, nothing happens
	case old != nil && old.mode.IsDir() && (!n.mode.IsDir() || len(old.entries) > 0 || within(newname, oldname)):
		return syscall.EEXIST // so says os.Rename
	case n.mode.IsDir() && within(newname, oldname):
		return syscall.EINVAL
	case old != nil && !old.mode.IsDir() && n.mode.IsDir():
		return syscall.ENOTDIR
	}
	n.nlink++ // keeps n alive between the two edits
	m.apply(edit{from, oldbase, nil}, edit{to, newbase, n})
	n.nlink--
	return nil
}

// within tells whether name is dir or lies below it.
func within(name, dir string) bool {
	a, b := split(name), split(dir)
	return len(a) >= len(b) && slices.Equal(a[:len(b)], b)
}

// Link gives a file a second name.
func (m *Mem) Link(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.link(oldname, newname); err != nil {
		return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (m *Mem) link(oldname, newname string) error {
	n, err := m.find(oldname)
	if err != nil {
		return err
	}
	dir, base, err := m.parent(newname)
	if err != nil {
		return err
	}
	if dir.entries[base] != nil {
		return syscall.EEXIST
	}
	if n.mode.IsDir() {
		return syscall.EPERM
	}
	m.apply(edit{dir, base, n})
	return nil
}

// Remove removes a file or an empty directory.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.remove(name); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

func (m *Mem) remove(name string) error {
	dir, base, err := m.parent(name)
	if err != nil {
		return err
	}
	n := dir.entries[base]
	switch {
	case n == nil:
		return syscall.ENOENT
	case len(n.entries) > 0:
		return syscall.ENOTEMPTY
	}
	m.apply(edit{dir, base, nil})
	return nil
}

// Mkdir makes a directory.
func (m *Mem) Mkdir(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mkdir(name, perm); err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return nil
}

func (m *Mem) mkdir(name string, perm fs.FileMode) error {
	if _, err := m.find(name); err == nil {
		return syscall.EEXIST
	}
	dir, base, err := m.parent(name)
	if err != nil {
		return err
	}
	n := m.newInode(fs.ModeDir | perm.Perm())
	n.nlink = 1 // its own "."
	m.apply(edit{dir, base, n})
	return nil
}

// Stat describes a file.
func (m *Mem) Stat(name string) (fs.FileInfo, error) { return m.stat("stat", name) }

// Lstat describes a file; without symbolic links it is Stat.
func (m *Mem) Lstat(name string) (fs.FileInfo, error) { return m.stat("lstat", name) }

func (m *Mem) stat(op, name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n.info(filepath.Base(name)), nil
}

// ReadDir lists a directory in an order that is neither sorted nor random: that of the inode numbers, newest first.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && !n.mode.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	list := make([]*memInfo, 0, len(n.entries))
	for base, e := range n.entries {
		list = append(list, e.info(base))
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].ino != list[j].ino {
			return list[i].ino > list[j].ino
		}
		return list[i].name < list[j].name
	})
	out := make([]fs.DirEntry, len(list))
	for i, e := range list {
		out[i] = fs.FileInfoToDirEntry(e)
	}
	return out, nil
}

// Chtimes sets access and modification time; a zero time leaves its value as it is.
func (m *Mem) Chtimes(name string, atime, mtime time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return &fs.PathError{Op: "chtimes", Path: name, Err: err}
	}
	if !atime.IsZero() {
		n.atime = atime
	}
	if !mtime.IsZero() {
		n.mtime = mtime
	}
	return nil
}

// Chmod sets the permission bits.
func (m *Mem) Chmod(name string, mode fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return &fs.PathError{Op: "chmod", Path: name, Err: err}
	}
	n.mode = n.mode&fs.ModeType | mode.Perm()
	return nil
}

// SyncDir makes the changes in a directory durable.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && !n.mode.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return &fs.PathError{Op: "sync", Path: name, Err: err}
	}
	m.syncDir(n)
	return nil
}

func (m *Mem) syncDir(n *inode) {
	m.commit(func(_ int, c *change) bool {
		for _, e := range c.edits {
			if m.opts.Journal || e.dir == n {
				return true
			}
		}
		return false
	})
}

// commit makes the chosen directory changes durable, and with each the older ones that touch the same names. Caller
// holds mu.
func (m *Mem) commit(choose func(i int, c *change) bool) {
	touched := map[slot]bool{}
	take := make([]bool, len(m.pending))
	for i := len(m.pending) - 1; i >= 0; i-- {
		c := m.pending[i]
		yes := choose(i, c)
		for _, e := range c.edits {
			yes = yes || touched[slot{e.dir, e.name}]
		}
		if !yes {
			continue
		}
		take[i] = true
		for _, e := range c.edits {
			touched[slot{e.dir, e.name}] = true
		}
	}
	var rest []*change
	for i, c := range m.pending {
		if !take[i] {
			rest = append(rest, c)
			continue
		}
		for _, e := range c.edits {
			if e.to == nil {
				delete(e.dir.durEntries, e.name)
			} else {
				e.dir.durEntries[e.name] = e.to
			}
		}
	}
	m.pending = rest
}

// SyncAll makes everything durable: the state from which a test starts.
func (m *Mem) SyncAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commit(func(int, *change) bool { return true })
	var walk func(n *inode)
	walk = func(n *inode) {
		m.syncData(n)
		for _, e := range n.entries {
			walk(e)
		}
	}
	walk(m.root)
}

// CrashKind says what a power cut leaves of the changes that were not synced.
type CrashKind uint8

// The kinds of crash.
const (
	CrashDrop   CrashKind = iota // nothing that was not synced survived
	CrashNames                   // every directory change survived, unsynced file data did not: the empty file after a rename
	CrashTorn                    // every directory change survived, and of unsynced data the first blocks
	CrashRandom                  // a pseudo-random part of both, block by block
	CrashKill                    // everything survived: the process was killed, the machine went on
)

// CrashKinds lists every kind.
var CrashKinds = []CrashKind{CrashDrop, CrashNames, CrashTorn, CrashRandom, CrashKill}

// String names the kind.
func (k CrashKind) String() string {
	return [...]string{"drop", "names", "torn", "random", "kill"}[k]
}

// Crash returns the file system as it would be found after a power cut now. The receiver is not changed, so that one
// state can be crashed in several ways; files that are open in it do not show in the copy. The seed matters for
// CrashTorn and CrashRandom. Everything in the copy is durable.
func (m *Mem) Crash(kind CrashKind, seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	rnd := rand.New(rand.NewPCG(seed, uint64(kind)))
	c := m.clone()
	cut := rnd.IntN(len(c.pending) + 1)
	c.commit(func(i int, _ *change) bool {
		switch kind {
		case CrashDrop:
			return false
		case CrashRandom:
			if c.opts.Journal {
				return i < cut
			}
			return rnd.IntN(2) == 0
		}
		return true
	})
	c.pending = nil
	c.used = 0
	seen := map[*inode]bool{}
	var walk func(n *inode)
	walk = func(n *inode) {
		if n.mode.IsDir() {
			n.entries = n.durEntries
			n.durEntries = map[string]*inode{}
			n.nlink = 1
			for _, name := range sortedNames(n.entries) {
				e := n.entries[name]
				n.durEntries[name] = e
				if !seen[e] {
					seen[e] = true
					e.nlink = 0
					walk(e)
				}
				e.nlink++
			}
			return
		}
		n.data = c.survivor(n, kind, rnd)
		n.durable = append([]byte(nil), n.data...)
		n.dirty = map[int64]bool{}
		c.used += int64(len(n.data))
	}
	walk(c.root)
	return c
}

func sortedNames(m map[string]*inode) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// survivor returns what is left of a file's data.
func (m *Mem) survivor(n *inode, kind CrashKind, rnd *rand.Rand) []byte {
	bs := int64(m.opts.BlockSize)
	now, then := int64(len(n.data)), int64(len(n.durable))
	dirty := make([]int64, 0, len(n.dirty))
	for b := range n.dirty {
		dirty = append(dirty, b)
	}
	if len(dirty) == 0 && now == then {
		return n.data
	}
	sort.Slice(dirty, func(i, j int) bool { return dirty[i] < dirty[j] })
	var keep func(i int) bool
	size := then
	switch kind {
	case CrashKill:
		return n.data
	case CrashTorn:
		whole := rnd.IntN(len(dirty) + 1)
		keep = func(i int) bool { return i < whole }
		if whole == len(dirty) {
			size = now
		} else if now > then {
			size = max(then, min(now, dirty[whole]*bs))
		}
	case CrashRandom:
		keep = func(int) bool { return rnd.IntN(2) == 0 }
		if now > then {
			// The size grows in blocks as they are allocated; blocks inside it that never arrived read as zeros.
			size = min(now, then+bs*rnd.Int64N((now-then)/bs+2))
		} else if rnd.IntN(2) == 0 {
			size = now
		}
	default:
		keep = func(int) bool { return false }
	}
	out := make([]byte, size)
	copy(out, n.durable)
	for i, b := range dirty {
		if start := b * bs; keep(i) && start < min(size, now) {
			clear(out[start:min(start+bs, size)])
			copy(out[start:min(start+bs, size)], n.data[start:])
		}
	}
	return out
}

// clone copies the whole file system, keeping what is durable apart from what is not. Caller holds mu.
func (m *Mem) clone() *Mem {
	c := &Mem{opts: m.opts, lastIno: m.lastIno, used: m.used}
	made := map[*inode]*inode{}
	var dup func(n *inode) *inode
	dup = func(n *inode) *inode {
		if n == nil {
			return nil
		}
		if d := made[n]; d != nil {
			return d
		}
		d := &inode{ino: n.ino, mode: n.mode, mtime: n.mtime, atime: n.atime, nlink: n.nlink}
		made[n] = d
		if n.mode.IsDir() {
			d.entries, d.durEntries = map[string]*inode{}, map[string]*inode{}
			for name, e := range n.entries {
				d.entries[name] = dup(e)
			}
			for name, e := range n.durEntries {
				d.durEntries[name] = dup(e)
			}
			return d
		}
		d.data = append([]byte(nil), n.data...)
		d.durable = append([]byte(nil), n.durable...)
		d.dirty = map[int64]bool{}
		for b := range n.dirty {
			d.dirty[b] = true
		}
		return d
	}
	c.root = dup(m.root)
	for _, p := range m.pending {
		q := &change{}
		for _, e := range p.edits {
			q.edits = append(q.edits, edit{dup(e.dir), e.name, dup(e.to)})
		}
		c.pending = append(c.pending, q)
	}
	return c
}
