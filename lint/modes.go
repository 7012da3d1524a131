package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vfs"
)

// modes finds tables that others may write to: who writes the aliases runs programs.
func (c *checker) modes() {
	if runtime.GOOS == "windows" {
		return // files have neither owners nor modes that say so
	}
	dirs := map[string]bool{}
	for _, name := range c.t.files {
		c.mode(name, mtakit.Position{File: name})
		dirs[filepath.Dir(name)] = true
	}
	for dir := range dirs {
		c.mode(dir, mtakit.Position{File: dir})
	}
}

// mode judges one file or directory.
func (c *checker) mode(name string, pos mtakit.Position) {
	st, err := os.Stat(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.add(pos, Error, "unsafe-mode", "cannot be checked: "+err.Error())
		}
		return
	}
	what := "file"
	if st.IsDir() {
		what = "directory"
	}
	mode := st.Mode()
	switch {
	case mode&0o002 != 0 && (!st.IsDir() || mode&fs.ModeSticky == 0):
		c.add(pos, Error, "unsafe-mode", fmt.Sprintf("%s %s is writable by everybody (mode %04o)", what, name, mode.Perm()))
	case mode&0o020 != 0:
		c.add(pos, Warning, "unsafe-mode", fmt.Sprintf("%s %s is writable by its group (mode %04o)", what, name, mode.Perm()))
	}
	if attr, ok := vfs.AttrOf(st); ok && attr.UID != 0 && attr.UID != c.opt.TrustedUID {
		c.add(pos, Warning, "unsafe-mode", fmt.Sprintf("%s %s belongs to user %d, who can change it", what, name, attr.UID))
	}
}

// files looks at what aliases speak of: lists, programs, files to append to.
func (c *checker) files() {
	for e := range c.t.Aliases.All() {
		for _, m := range mtakit.ParseList(e.Value, e.Pos) {
			switch to := m.To.(type) {
			case mtakit.Include:
				c.listFile(to.Path, e.Pos)
			case mtakit.Pipe:
				c.program(to.Command, e.Pos)
			case mtakit.File:
				if dir := filepath.Dir(to.Path); to.Path != "/dev/null" && !exists(dir) {
					c.add(e.Pos, Error, "missing-file", fmt.Sprintf("%s: there is no directory %s", m.Text, dir))
				}
			}
		}
	}
}

func (c *checker) listFile(path string, pos mtakit.Position) {
	if !exists(path) {
		c.add(pos, Error, "missing-file", fmt.Sprintf("list %s does not exist or cannot be seen", path))
		return
	}
	c.mode(path, pos)
}

// program looks at the first word of a command, when it is a path.
func (c *checker) program(command string, pos mtakit.Position) {
	word, _, _ := strings.Cut(strings.TrimLeft(command, ` "'`), " ")
	word = strings.TrimRight(word, `"'`)
	if !strings.HasPrefix(word, "/") {
		return
	}
	st, err := os.Stat(word)
	switch {
	case err != nil:
		c.add(pos, Error, "missing-file", fmt.Sprintf("program %s does not exist or cannot be seen", word))
	case st.IsDir() || st.Mode()&0o111 == 0:
		c.add(pos, Error, "missing-file", fmt.Sprintf("%s is not a program", word))
	case st.Mode()&0o002 != 0:
		c.add(pos, Error, "unsafe-mode", fmt.Sprintf("program %s is writable by everybody (mode %04o)", word, st.Mode().Perm()))
	}
}
