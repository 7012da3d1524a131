package alias

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/listfile"
	"github.com/mtakit/mtakit/internal/safefile"
)

// Newaliases does what the command of that name does: it compiles alias files into databases, with its checks of
// files and directories.
type Newaliases struct {
	// Builder compiles each file; its Append and KeepCase are those of the Source.
	Builder Builder
	// DontBlame switches safety rules off.
	DontBlame mtakit.DontBlame
	// Create begins the database of an alias file, which is called name. The real database must change only when
	// the Database is committed.
	Create func(src Source, name string) (Database, error)
	// Root confines source files to this directory, and RootName is what it is called in their names. Empty means
	// the whole file system, and Root itself.
	Root, RootName string
	// Dir is where relative names of source files begin: sendmail's QueueDirectory, where it works. Neither it nor what is
	// above it is examined. Empty refuses such names.
	Dir string
	// Lock, if set, is called for each file before it is opened. False means that somebody else has locked it: it is left
	// out, which the report says.
	Lock func(name string) bool
}

// Database is a database that is being built.
type Database interface {
	// Store replaces what was stored under key.
	Store(key, value string) error
	// Commit makes the database durable and puts it in place.
	Commit() error
	// Abort leaves the database as it was before.
	Abort() error
}

// Run compiles the sources one after the other, in the order in which sendmail comes across them in its table of symbols:
// of ten, the ninth is the first. The report holds all messages; its counts are sums. A file that
// cannot be opened does not stop the others, and, as in sendmail, does not fail the run.
func (n *Newaliases) Run(sources []Source) Report {
	var rep Report
	dir := n.Root
	if dir == "" {
		dir = "/"
	}
	root, err := safefile.NewRoot(dir, n.RootName)
	if err != nil {
		rep.add(exitSoftware, "newaliases: %v", err)
		return rep
	}
	defer root.Close()
	below := root
	if n.Dir != "" {
		if below, err = safefile.NewRoot(n.Dir, "/"); err != nil {
			rep.add(exitSoftware, "newaliases: %v", err)
			return rep
		}
		defer below.Close()
	}
	for _, src := range inOrder(sources) {
		name, opened, at := src.File, src.File, root
		if n.Dir != "" && !path.IsAbs(src.File) {
			if name = path.Join(n.Dir, src.File); filepath.IsLocal(src.File) {
				opened, at = "/"+src.File, below
			} else {
				opened = name
			}
		}
		if n.Lock != nil && !n.Lock(name) {
			rep.add(0, "Alias file %s is locked (maybe being rebuilt)", src.File)
			continue
		}
		n.run(&rep, at, src, opened, name)
	}
	return rep
}

// inOrder returns the sources that are compiled in sendmail's order, that of the buckets of its symbol table.
func inOrder(sources []Source) []Source {
	const buckets, kindMap = 2003, 6
	bucket := func(i int) int {
		h := kindMap
		for _, c := range []byte("alias" + strconv.Itoa(i)) {
			h = (h<<1 ^ int(c)) % buckets
		}
		return h
	}
	var order []int
	for i, src := range sources {
		if src.Compiled() {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(bucket(a), bucket(b)) })
	list := make([]Source, len(order))
	for i, at := range order {
		list[i] = sources[at]
	}
	return list
}

// run compiles one source. It is opened in root as opened, and the database goes beside name.
func (n *Newaliases) run(rep *Report, root *safefile.Root, src Source, opened, name string) {
	id := safefile.Identity{UID: os.Geteuid(), GID: os.Getegid()}
	rules := safefile.Rules{
		GroupWritable: n.DontBlame.Has(mtakit.DontBlameGroupWritableAliasFile),
		WorldWritable: n.DontBlame.Has(mtakit.DontBlameWorldWritableAliasFile),
		Linked:        n.DontBlame.Has(mtakit.DontBlameLinkedAliasFileInWritableDir),
		GroupDirSafe:  n.DontBlame.Has(mtakit.DontBlameGroupWritableDirPathSafe),
		TrustSticky:   n.DontBlame.Has(mtakit.DontBlameTrustStickyBit),
		UnsafeDir:     true, // said, but tolerated for the source
		NoExecute:     true,
		OwnerBits:     true,
		MissingFirst:  true,
	}
	file, err := root.Open(opened, id, rules)
	if safefile.Absent(err) && src.Optional {
		return
	}
	unsafe, exists := root.UnsafeDirs(opened, id, rules)
	if exists {
		warn(rep, unsafe)
	}
	if err != nil {
		rep.add(0, "newaliases: cannot open %s: %s", src.File, listfile.Text(err))
		return
	}
	defer file.Close()
	if len(unsafe) > 0 {
		if !n.DontBlame.Has(mtakit.DontBlameMapInUnsafeDirPath) {
			cannotCreate(rep, src)
			return
		}
		warn(rep, unsafe)
	}
	db, err := n.Create(src, name)
	if err != nil {
		cannotCreate(rep, src)
		rep.add(exitSoftware, "%v", err)
		return
	}
	b := n.Builder
	b.Append, b.KeepCase = src.Append, src.KeepCase && b.KeepCase
	if has, ok := db.(interface{ Has(key string) bool }); ok {
		b.Stored = has.Has
	}
	one, err := b.Build(file, src.File, db.Store)
	if err == nil {
		err = db.Commit()
	} else {
		db.Abort()
	}
	if err != nil {
		rep.add(exitSoftware, "newaliases: %v", err)
		return
	}
	rep.Lines = append(rep.Lines, one.Lines...)
	rep.fail(one.Exit)
	rep.Aliases += one.Aliases
	rep.Bytes += one.Bytes
	rep.Longest = max(rep.Longest, one.Longest)
}

func warn(rep *Report, dirs []safefile.UnsafeDir) {
	for _, d := range dirs {
		rep.add(0, "WARNING: %s %s", d.Reason, d.Path)
	}
}

func cannotCreate(rep *Report, src Source) {
	rep.add(exitSoftware, "WARNING: cannot open alias database %s", src.File)
	rep.add(exitSoftware, "Cannot create database for alias file %s", src.File)
}

// String prints the messages one on a line.
func (r Report) String() string {
	s := ""
	for _, line := range r.Lines {
		s += fmt.Sprintln(line)
	}
	return s
}
