package stats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vfs"
)

// Options tunes a Collector. The zero value is ready for use.
type Options struct {
	// Mailers are the names by number, Config.Mailers. Nil means StockMailers.
	Mailers []string
	// Create makes the file when it does not exist. sendmail never does: an administrator who removes the file does not
	// want statistics.
	Create bool
	// Interval is how often Run updates the file. Zero means 30 seconds.
	Interval time.Duration
	// LockWait is how long an update waits for another program's lock. Zero means 5 seconds.
	LockWait time.Duration

	fs vfs.FS // for tests
}

// Collector counts events and adds the counts to the file. Make one with New, pass its Event method as a listener, and let Run
// update the file until the program ends.
type Collector struct {
	path    string
	opts    Options
	mailers map[string]int

	mu      sync.Mutex
	pending Counters // what the file does not have yet
	changed bool

	flushing sync.Mutex
}

// StockMailers returns the names by number that sendmail's own configuration files give: prog, *file*, *include*, local, smtp,
// esmtp, smtp8, dsmtp, relay.
func StockMailers() []string {
	return []string{"prog", "*file*", "*include*", "local", "smtp", "esmtp", "smtp8", "dsmtp", "relay"}
}

// New makes a Collector for the file path. Nil options mean the zero value. It does not touch the file.
func New(path string, opts *Options) *Collector {
	c := &Collector{path: path, mailers: map[string]int{}}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Mailers == nil {
		c.opts.Mailers = StockMailers()
	}
	if c.opts.Interval == 0 {
		c.opts.Interval = 30 * time.Second
	}
	if c.opts.LockWait == 0 {
		c.opts.LockWait = 5 * time.Second
	}
	if c.opts.fs == nil {
		c.opts.fs = vfs.OS
	}
	for i, name := range c.opts.Mailers {
		if i < MaxMailers {
			c.mailers[name] = i
		}
	}
	return c
}

// Event counts an event.
func (c *Collector) Event(e mtakit.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Kind {
	case mtakit.EventConnect:
		switch {
		case e.Text == "" || e.Text == "connect":
			c.pending.ConnAccepted++
		case strings.HasPrefix(e.Text, "SMTP outgoing connect"):
			c.pending.ConnMade++
		default:
			return
		}
	case mtakit.EventReport, mtakit.EventAccept:
		if e.Kind == mtakit.EventReport && (e.Text == "clone" || e.NewID == "") {
			return
		}
		m := c.mailer(e.FromMailer)
		if m == nil {
			return
		}
		m.From++
		m.KBFrom += Kilobytes(e.Size)
	case mtakit.EventDeliver:
		m := c.mailer(e.Mailer)
		if m == nil {
			return
		}
		m.To += int64(len(e.To))
		m.KBTo += int64(len(e.To)) * Kilobytes(e.Size)
	case mtakit.EventReject:
		c.pending.ConnRejected++
		if m := c.mailer(e.FromMailer); m != nil && e.Err != nil {
			m.Rejected++
		} else if m != nil {
			m.Discarded++
		}
	case mtakit.EventQuarantine:
		m := c.mailer(e.FromMailer)
		if m == nil {
			return
		}
		m.Quarantined++
	default:
		return
	}
	c.changed = true
}

// mailer finds the pending counters of a mailer; nil when the name is unknown.
func (c *Collector) mailer(name string) *Mailer {
	if n, ok := c.mailers[name]; ok {
		return &c.pending.Mailers[n]
	}
	return nil
}

// Run updates the file at intervals and once more when ctx ends, and then returns the error of the last update, if it failed.
// An update that fails loses nothing: its counts go into the next one.
func (c *Collector) Run(ctx context.Context) error {
	tick := time.NewTicker(c.opts.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return c.Flush()
		case <-tick.C:
			_ = c.Flush() // tried again at the next tick
		}
	}
}

// Flush adds what was counted so far to the file. When it returns nil, the file with the new counts is on disk; after an error
// the counts are kept for the next time, unless they are in the file and only its sync failed. A file that does
// not exist is no error, and the counts are forgotten, unless Options.Create is set.
func (c *Collector) Flush() error {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.mu.Lock()
	if !c.changed {
		c.mu.Unlock()
		return nil
	}
	delta := c.pending
	c.pending, c.changed = Counters{}, false
	c.mu.Unlock()

	written, err := c.update(&delta)
	if errors.Is(err, fs.ErrNotExist) && !c.opts.Create {
		return nil
	}
	if !written {
		c.mu.Lock()
		c.pending.Add(&delta)
		c.changed = true
		c.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("statistics: %w", err)
	}
	return nil
}

// update adds delta to the record in the file, and tells whether the counts are there, synced or not. The record lies in the
// first block, so that a crash leaves the old or the new one; it is written in place because sendmail locks and keeps to the
// file that it has opened.
func (c *Collector) update(delta *Counters) (written bool, err error) {
	flag := os.O_RDWR | vfs.NoFollow | vfs.NonBlock // neither a link nor a pipe may lead elsewhere
	if c.opts.Create {
		flag |= os.O_CREATE
	}
	f, err := c.opts.fs.OpenFile(c.path, flag, 0o640)
	if err != nil {
		return false, err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if err := c.check(f); err != nil {
		return false, err
	}
	if err := c.lock(f); err != nil {
		return false, err
	}
	var b [Size]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return false, err
	}
	rec := Counters{}
	if rec.decode(b[:n]) != nil {
		rec = Counters{Since: time.Now()} // empty or foreign: sendmail begins anew, too
	}
	rec.Add(delta)
	out, _ := rec.AppendBinary(nil)
	if _, err := f.WriteAt(out, 0); err != nil {
		// A write cut short would leave a mixture, to which the next update would add again.
		_, _ = f.WriteAt(b[:n], 0)
		if n < Size {
			_ = f.Truncate(int64(n))
		}
		return false, err
	}
	if err := f.Sync(); err != nil || n > 0 {
		return true, err
	}
	return true, c.opts.fs.SyncDir(filepath.Dir(c.path)) // the file may be new
}

// check refuses what sendmail refuses by default: anything but a regular file with one name.
func (c *Collector) check(f vfs.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	attr, ok := vfs.AttrOf(fi)
	switch {
	case !fi.Mode().IsRegular():
		err = errors.New("not a regular file")
	case ok && attr.Nlink > 1:
		err = errors.New("file has several names")
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: c.path, Err: err}
	}
	return nil
}

// lock takes the lock that sendmail takes, for a limited time. Closing the file drops it.
func (c *Collector) lock(f vfs.File) error {
	for end := time.Now().Add(c.opts.LockWait); ; {
		ok, err := filelock.TryFlock(f, true)
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return &fs.PathError{Op: "lock", Path: c.path, Err: errors.New("held by another program for too long")}
		}
		time.Sleep(10 * time.Millisecond)
	}
}
