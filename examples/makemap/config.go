package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/mtakit/mtakit/internal/cflines"
	"github.com/mtakit/mtakit/table"
)

// config is what makemap needs of a sendmail configuration.
type config struct {
	maps  []mapLine
	owner *table.Owner // TrustedUser
}

// mapLine is a K line.
type mapLine struct{ class, file string }

// readConfig reads K lines and the option TrustedUser.
func (c *command) readConfig() (conf config, err error) {
	given := c.config != ""
	if !given {
		c.config = defaultConfig
	}
	f, err := os.Open(c.config)
	if err != nil && (os.Geteuid() != 0 || errors.Is(err, fs.ErrNotExist) && !given) {
		return conf, nil // it names the owner of new maps, which root alone can give away
	}
	if err != nil {
		return conf, err
	}
	defer f.Close()
	for l, err := range cflines.Logical(f) {
		if errors.Is(err, syscall.EISDIR) {
			break // a directory opens, and says nothing
		}
		if err != nil {
			return conf, err
		}
		line := l.Text
		switch {
		case strings.HasPrefix(line, "K"):
			if w := strings.Fields(line[1:]); len(w) >= 3 {
				conf.maps = append(conf.maps, mapLine{w[1], w[len(w)-1]})
			}
		case strings.HasPrefix(line, "O "):
			name, value, ok := strings.Cut(line[2:], "=")
			if ok && strings.EqualFold(strings.TrimSpace(name), "TrustedUser") {
				conf.owner = c.trustedUser(strings.TrimSpace(value))
			}
		}
	}
	return conf, nil
}

// trustedUser finds the owner for new maps. Only root can give files away.
func (c *command) trustedUser(name string) *table.Owner {
	uid, err := strconv.Atoi(name)
	if err != nil {
		u, err := user.Lookup(name)
		if err != nil {
			fmt.Fprintf(c.stderr, "TrustedUser: unknown user %s\n", name)
			return nil
		}
		uid, _ = strconv.Atoi(u.Uid) // a number on all systems that have sendmail
	}
	if !c.root || uid == 0 {
		return nil
	}
	return &table.Owner{UID: uid, GID: -1}
}

// findClass finds the type of the map in the configuration: by its full name (cf), or by the last part of it without
// suffix (CF).
func (c *command) findClass(conf config) bool {
	short := func(name string) string { return name }
	if c.class == "CF" {
		short = func(name string) string { return strings.TrimSuffix(path.Base(name), ".db") }
	}
	for _, m := range conf.maps {
		if short(m.file) == short(c.name) {
			c.class = m.class
			return true
		}
	}
	if c.fallback == "" {
		fmt.Fprintf(c.stderr, "makemap: mapfile %s: not found in %s\n", c.name, c.config)
		return false
	}
	if c.verbose {
		fmt.Fprintf(c.stderr, "makemap: mapfile %s: not found in %s, using fallback %s\n", c.name, c.config, c.fallback)
	}
	c.class = c.fallback
	return true
}
