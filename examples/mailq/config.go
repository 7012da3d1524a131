package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mtakit/mtakit/examples/internal/datadir"
	"github.com/mtakit/mtakit/examples/internal/sendmailcf"
	"github.com/mtakit/mtakit/internal/lex"
	"github.com/mtakit/mtakit/internal/strerror"
	"github.com/mtakit/mtakit/queue"
)

// exit is an error with the code that the program ends with. Without err there is nothing left to say.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string { return e.err.Error() }

// fail prints an error and returns its exit code, that of a wrong usage when it has none. A plain listing complains on standard
// output, as sendmail does.
func (c *command) fail(err error) int {
	var e *exit
	if !errors.As(err, &e) {
		fmt.Fprintln(c.err, err)
		return exUsage
	}
	if e.err != nil {
		fmt.Fprintln(c.err, e.err)
	}
	return e.code
}

// places takes the options that say which queue is meant out of args: -C file, -Ac, -oQ dir, and with all any
// -OQueueDirectory=dir, which queue.ParseMailqArgs knows itself.
func (c *command) places(args []string, all bool) (rest []string, err error) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		word := func(option string) (string, bool) { // the option's argument, in the same word or in the next
			v, ok := strings.CutPrefix(a, option)
			if ok && v == "" {
				if i++; i == len(args) {
					err = fmt.Errorf("option requires an argument -- '%s'", option[1:])
					return "", true
				}
				v = args[i]
			}
			return v, ok
		}
		switch {
		case a == "-Am":
			c.given, c.config = true, sendmailcf.Default
			continue
		case a == "-Ac":
			c.given, c.config = true, sendmailcf.Submit
			continue
		case strings.HasPrefix(a, "-C"):
			c.config, _ = word("-C")
			c.given = true
			continue
		case strings.HasPrefix(a, "-oQ"):
			c.dir, _ = word("-oQ")
			continue
		case a == "-o" && i+1 < len(args) && strings.HasPrefix(args[i+1], "Q"):
			i++
			c.dir = args[i][1:]
			continue
		case all && strings.HasPrefix(a, "-O"):
			v, _ := word("-O")
			name, dir, ok := strings.Cut(v, "=")
			if !ok || !strings.EqualFold(name, "QueueDirectory") {
				return nil, fmt.Errorf("%w: -O%s", queue.ErrNotMailq, v)
			}
			c.dir = dir
			continue
		}
		rest = append(rest, a)
	}
	return rest, err
}

// configure reads the configuration, unless the reference server has a queue here and none was named. It returns the
// options that concern listings as arguments.
func (c *command) configure() (args []string, err error) {
	if !c.given && c.dir == "" {
		if own := datadir.Find("queue", ""); own != "" {
			c.dir = own
			return nil, nil
		}
	}
	var known []string
	if c.dir != "" {
		known = append(known, "QueueDirectory")
	}
	f, err := sendmailcf.Read(c.config, known...)
	switch {
	case f == nil && !c.given && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case f == nil:
		return nil, &exit{exOSFile, fmt.Errorf("%s: line 0: cannot open: %s", lex.Short(c.config, lex.ShortFile), strerror.Text(err))}
	}
	remarks := f.Remarks
	for _, o := range f.Options {
		arg, says, oerr := listingOption(o.Name, o.Value)
		for _, text := range says {
			remarks = append(remarks, fmt.Sprintf("%s: line %d: %s", lex.Short(c.config, lex.ShortFile), o.Line, text))
		}
		err = errors.Join(err, oerr)
		if arg != "" {
			args = append(args, arg)
		}
	}
	if err != nil {
		return nil, &exit{exSoftware, errors.New(strings.Join(remarks, "\n"))}
	}
	for _, text := range remarks {
		fmt.Fprintln(c.err, text)
	}
	c.groups = f.Queues
	if c.dir == "" {
		c.dir = f.Option("QueueDirectory")
	} else {
		c.moved = true
	}
	return args, nil
}

// open opens the queue directory and those of the groups. Where a group has no directory of its own, a listing shows the
// common one once for each, as sendmail's; changes see it once.
func (c *command) open(listing bool) (*queue.Dir, error) {
	if c.dir == "" {
		c.dir = "/var/spool/mqueue"
	}
	base := filepath.Clean(c.dir)
	if strings.HasSuffix(base, "*") {
		base = filepath.Dir(base)
	}
	if _, err := os.Stat(base + "/."); err != nil { // which needs the right to search it, as chdir(2) does
		return nil, &exit{exConfig, fmt.Errorf("can not chdir(%s/): %s", base, strerror.Text(err))}
	}
	main, root := c.dir, base
	for _, g := range c.groups {
		if strings.EqualFold(g.Name, "mqueue") && g.Path != "" { // the default group has been given a place
			if err := below(g.Path, base); err != nil {
				return nil, &exit{exConfig, err}
			}
			if main, root = g.Path, filepath.Clean(g.Path); strings.HasSuffix(root, "*") {
				root = filepath.Dir(root)
			}
		}
	}
	var o queue.DirOptions
	for _, g := range c.groups {
		if strings.EqualFold(g.Name, "mqueue") {
			o.MaxRcpts = g.MaxRcpts
			continue
		}
		path := g.Path
		if path == "" {
			path = c.dir
		}
		if err := below(path, base); err != nil {
			if c.moved && !c.given {
				continue // the groups of the system, another directory
			}
			return nil, &exit{exConfig, err}
		}
		if path == main && !listing {
			continue
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return nil, &exit{exConfig, err}
		}
		o.Groups = append(o.Groups, queue.Group{Name: g.Name, Path: rel, MaxRcpts: g.MaxRcpts})
	}
	d, err := queue.Open(main, &o)
	if err != nil {
		return nil, &exit{exConfig, err}
	}
	return d, nil
}

// below reports in sendmail's words why the path of a group is none below the queue directory.
func below(path, base string) error {
	switch {
	case !filepath.IsAbs(path):
		return fmt.Errorf("QueuePath %s not absolute", path)
	case path != base && !strings.HasPrefix(filepath.Clean(path), strings.TrimSuffix(base, "/")+"/"):
		return fmt.Errorf("QueuePath %s not subpath of QueueDirectory %s/", path, base)
	}
	return nil
}
