// Package progress shows how far a long run is, on a terminal and nowhere else.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

const (
	quiet = 2 * time.Second // short runs show nothing
	every = 500 * time.Millisecond
)

// Meter counts records and bytes. It is used by one goroutine; another may read through Reader.
type Meter struct {
	w       io.Writer // nil when nobody watches
	name    string
	total   int64
	read    atomic.Int64
	records int
	next    time.Time
	shown   bool
	now     func() time.Time
}

// New starts a Meter for w. It stays silent unless w is a terminal. total is the size of the input in bytes, 0 when unknown.
func New(w io.Writer, name string, total int64) *Meter {
	m := &Meter{name: name, total: total, now: time.Now}
	if isTerminal(w) {
		m.w = w
	}
	m.next = m.now().Add(quiet)
	return m
}

// isTerminal reports whether w is a character device other than the null device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	if err != nil || fi.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(fi, null)
}

// Size returns the size of a regular file, 0 for everything else.
func Size(r io.Reader) int64 {
	f, ok := r.(*os.File)
	if !ok {
		return 0
	}
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return 0
	}
	return fi.Size()
}

// Reader counts what is read from r.
func (m *Meter) Reader(r io.Reader) io.Reader { return &reader{m, r} }

type reader struct {
	m *Meter
	r io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.m.read.Add(int64(n))
	return n, err
}

// Record counts a record, and shows the state when it is time.
func (m *Meter) Record() {
	m.records++
	if m.w == nil || m.records%4096 != 0 || m.now().Before(m.next) {
		return
	}
	m.next = m.now().Add(every)
	m.shown = true
	percent := ""
	if m.total > 0 {
		percent = fmt.Sprintf(" (%d%%)", min(100, 100*m.read.Load()/m.total))
	}
	fmt.Fprintf(m.w, "\r%s: %d records, %d MB%s ", m.name, m.records, m.read.Load()>>20, percent)
}

// Done removes the line.
func (m *Meter) Done() {
	if m.shown {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}
