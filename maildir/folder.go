package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Folder is a Maildir++ folder: the directory ".A.B" of the root Maildir is the folder B within A.
type Folder struct {
	Dir        string   // name of the directory, with its leading dot
	Components []string // as in the directory's name
	Names      []string // decoded from modified UTF-7; nil when a component is not valid, then show Components
}

// ErrFolderName is the reason why a folder cannot have a name.
var ErrFolderName = errors.New("not a possible folder name")

// Folders returns the folders, sorted by directory name. A folder is a directory ".X" with cur in it and no empty
// component in its name; one that we may not look into is none.
func (d *Dir) Folders() ([]Folder, error) {
	list, _, err := d.folders()
	return list, err
}

// folders also returns the dot directories that are no folders.
func (d *Dir) folders() (list []Folder, others []string, err error) {
	for f, err := range readDir(d.fs, d.path) {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil, nil
			}
			return nil, nil, err
		}
		if len(f.name) < 2 || f.name[0] != '.' {
			continue
		}
		path := filepath.Join(d.path, f.name)
		if f.typ != fs.ModeDir {
			if dir, err := d.isDir(path); err != nil {
				return nil, nil, err
			} else if !dir {
				continue
			}
		}
		cur, err := d.isDir(filepath.Join(path, "cur"))
		if err != nil {
			return nil, nil, err
		}
		parts := strings.Split(f.name[1:], ".")
		if !cur || slices.Contains(parts, "") {
			others = append(others, f.name)
			continue
		}
		list = append(list, newFolder(f.name, parts))
	}
	slices.SortFunc(list, func(a, b Folder) int { return strings.Compare(a.Dir, b.Dir) })
	slices.Sort(others)
	return list, others, nil
}

// isDir reports whether path is a directory that we may look at.
func (d *Dir) isDir(path string) (bool, error) {
	fi, err := d.fs.Stat(path)
	switch {
	case err == nil:
		return fi.IsDir(), nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return false, nil
	}
	return false, err
}

func newFolder(dir string, parts []string) Folder {
	f := Folder{Dir: dir, Components: parts}
	for _, p := range parts {
		s, err := DecodeUTF7(p)
		if err != nil {
			f.Names = nil
			break
		}
		f.Names = append(f.Names, s)
	}
	return f
}

// VirtualParents returns the directory names of folders that do not exist but have children in list: to be shown
// as not selectable.
func VirtualParents(list []Folder) []string {
	exists := make(map[string]bool)
	for _, f := range list {
		exists[f.Dir] = true
	}
	var parents []string
	for _, f := range list {
		for n := 1; n < len(f.Components); n++ {
			p := "." + strings.Join(f.Components[:n], ".")
			if !exists[p] {
				exists[p] = true
				parents = append(parents, p)
			}
		}
	}
	slices.Sort(parents)
	return parents
}

// folderDir returns the directory name for decoded components.
func folderDir(names []string) (string, error) {
	if len(names) == 0 {
		return "", fmt.Errorf("%w: empty", ErrFolderName)
	}
	dir := ""
	for _, n := range names {
		switch {
		case n == "":
			return "", fmt.Errorf("%w: %q has an empty part", ErrFolderName, names)
		case strings.ContainsAny(n, "./\x00"):
			return "", fmt.Errorf("%w: %q has a dot, slash or NUL", ErrFolderName, n)
		}
		enc, err := EncodeUTF7(n)
		if err != nil {
			return "", err
		}
		dir += "." + enc
	}
	if strings.EqualFold(names[0], "INBOX") {
		return "", fmt.Errorf("%w: INBOX is the root itself", ErrFolderName)
	}
	if len(dir) > maxName {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrFolderName, maxName)
	}
	return dir, nil
}

// Folder returns the folder with these names, from the root down: Folder("Lists", "Go") is ".Lists.Go". It need not
// exist. Without names it is the root itself.
func (d *Dir) Folder(names ...string) (*Dir, error) {
	if len(names) == 0 {
		return d, nil
	}
	dir, err := folderDir(names)
	if err != nil {
		return nil, err
	}
	return d.sub(dir), nil
}

// Sub returns the Maildir of a folder that Folders listed.
func (d *Dir) Sub(f Folder) *Dir { return d.sub(f.Dir) }

func (d *Dir) sub(dir string) *Dir {
	o := d.opts
	o.Create = false
	sub := New(filepath.Join(d.path, dir), &o)
	sub.root = d
	return sub
}

// CreateFolder makes a folder, complete at once: it is built under another name and renamed. It is fs.ErrExist when
// there is one. Parents need not exist.
func (d *Dir) CreateFolder(names ...string) (*Dir, error) {
	dir, err := folderDir(names)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(d.path, dir)
	if _, err := d.fs.Lstat(path); err == nil {
		return nil, &fs.PathError{Op: "create folder", Path: path, Err: fs.ErrExist}
	}
	build := filepath.Join(d.path, "tmp", d.opts.Namer.Name())
	for _, p := range []string{"", "cur", "new", "tmp"} {
		if err := d.fs.Mkdir(filepath.Join(build, p), 0o700); err != nil {
			return nil, err
		}
	}
	// The mark by which delivery agents find the quota file one level up.
	f, err := d.fs.OpenFile(filepath.Join(build, "maildirfolder"), openFlags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := d.sync(build); err != nil {
		return nil, err
	}
	if err := d.fs.Rename(build, path); err != nil {
		_ = removeTree(d, build)
		return nil, err
	}
	return d.sub(dir), d.sync(d.path)
}

// DeleteFolder removes a folder with its messages, not its children. It is renamed to a name without a dot first, so
// that no reader sees a half of it.
func (d *Dir) DeleteFolder(names ...string) error {
	dir, err := folderDir(names)
	if err != nil {
		return err
	}
	trash := filepath.Join(d.path, "tmp", "deleted."+d.opts.Namer.Name())
	if err := d.fs.Rename(filepath.Join(d.path, dir), trash); err != nil {
		return err
	}
	if err := d.sync(d.path); err != nil {
		return err
	}
	if err := removeTree(d, trash); err != nil {
		return err
	}
	return d.Recount()
}

// removeTree removes a folder's directory and what is in it, two levels deep at most.
func removeTree(d *Dir, path string) error {
	all, err := d.fs.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range all {
		p := filepath.Join(path, e.Name())
		if e.IsDir() {
			err = removeTree(d, p)
		} else {
			err = d.fs.Remove(p)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return d.fs.Remove(path)
}

// RenameFolder renames a folder and its children, in this order: the children, then the folder itself. Nothing is
// overwritten. After an error all have their old names, except when not even the way back worked, which the error
// says, and when only the last sync failed: then all have the new ones.
//
// A power failure can cut it short, since each is a directory of its own: then some children have new names, and the
// folder itself still has its old one. No message is lost or doubled, and a second call with the same names renames the rest.
// Once the folder itself has its new name all children have theirs; a second call is then fs.ErrNotExist.
func (d *Dir) RenameFolder(from, to []string) error {
	old, err := folderDir(from)
	if err != nil {
		return err
	}
	now, err := folderDir(to)
	if err != nil {
		return err
	}
	if now == old || strings.HasPrefix(now, old+".") {
		return fmt.Errorf("%w: a folder cannot move into itself", ErrFolderName)
	}
	list, err := d.Folders()
	if err != nil {
		return err
	}
	var moves []folderMove
	for _, f := range list {
		if f.Dir == old || strings.HasPrefix(f.Dir, old+".") {
			moves = append(moves, folderMove{f.Dir, now + f.Dir[len(old):]})
		}
	}
	if len(moves) == 0 {
		return &fs.PathError{Op: "rename folder", Path: filepath.Join(d.path, old), Err: fs.ErrNotExist}
	}
	slices.Reverse(moves) // the list is sorted: the folder itself comes first
	for _, m := range moves {
		target := filepath.Join(d.path, m.to)
		if len(m.to) > maxName {
			return fmt.Errorf("%w: %s is longer than %d bytes", ErrFolderName, m.to, maxName)
		}
		if _, err := d.fs.Lstat(target); err == nil {
			return &fs.PathError{Op: "rename folder", Path: target, Err: fs.ErrExist}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := d.moveFolders(moves); err != nil {
		return err
	}
	if err := d.sync(d.path); err != nil {
		return err
	}
	if isTrash(old) || isTrash(now) { // what does not count against the quota changed
		return d.Recount()
	}
	return nil
}

// folderMove is the renaming of one folder's directory.
type folderMove struct{ from, to string }

// moveFolders renames in order, the last one only after the others are durable, or none.
func (d *Dir) moveFolders(moves []folderMove) (err error) {
	var done []folderMove
	defer func() {
		if err == nil {
			return
		}
		for _, m := range slices.Backward(done) {
			if back := d.fs.Rename(filepath.Join(d.path, m.to), filepath.Join(d.path, m.from)); back != nil {
				err = fmt.Errorf("%w (and %s keeps its new name: %w)", err, m.to, back)
			}
		}
	}()
	for i, m := range moves {
		if i > 0 && i == len(moves)-1 {
			if err := d.sync(d.path); err != nil {
				return err
			}
		}
		switch err := d.fs.Rename(filepath.Join(d.path, m.from), filepath.Join(d.path, m.to)); {
		case err == nil:
			done = append(done, m)
		case !errors.Is(err, fs.ErrNotExist): // else: deleted by another program
			return err
		}
	}
	return nil
}
