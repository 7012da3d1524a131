package logfmt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
)

// Writer writes the lines of events to a file, a syslog socket or any io.Writer. Its Event method is a
// mtakit.Listener: it formats the lines into memory and returns; a goroutine, owned by the Writer and ended by Close,
// writes what has come together. A line is never torn: each write holds whole lines, each datagram one.
//
// A Writer is safe for concurrent use.
type Writer struct {
	*Formatter
	path string // for Reopen

	mu      sync.Mutex
	room    sync.Cond // signalled when lines left pending
	pending []byte
	closed  bool
	dropped int64
	failing bool  // the last write failed
	err     error // of the first failed write since the last call of Flush

	out   io.Writer // owned by writeMu
	close func() error

	writeMu sync.Mutex // held while writing; taken before mu
	spare   []byte
	wake    chan struct{} // something is pending, or the end is near
	full    chan struct{} // much is pending: do not wait for more
	done    chan struct{}
}

// NewWriter makes a Writer on w, which Close does not close. With Options.Syslog, every Write of w gets one line
// without '\n', as a datagram socket needs it; otherwise it gets one or more whole lines.
func NewWriter(w io.Writer, opts *Options) *Writer {
	lw := &Writer{Formatter: NewFormatter(opts), out: w, close: func() error { return nil },
		wake: make(chan struct{}, 1), full: make(chan struct{}, 1), done: make(chan struct{})}
	lw.room.L = &lw.mu
	if lw.opts.Delay > 0 {
		go lw.run()
	} else {
		close(lw.done)
	}
	return lw
}

// Open makes a Writer that appends to a file, creating it with mode 0640. Reopen follows log rotation.
func Open(path string, opts *Options) (*Writer, error) {
	f, err := openLog(path)
	if err != nil {
		return nil, err
	}
	w := NewWriter(f, opts)
	w.path, w.close = path, f.Close
	return w, nil
}

// DialSyslog makes a Writer that sends to a syslog socket; an empty path means /dev/log. It sets Options.Syslog.
func DialSyslog(path string, opts *Options) (*Writer, error) {
	if path == "" {
		path = "/dev/log"
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return nil, err
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Syslog = true
	w := NewWriter(conn, &o)
	w.close = conn.Close
	return w, nil
}

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
}

// Event logs an event. It blocks only when MaxPending bytes wait, until some were written.
func (w *Writer) Event(e mtakit.Event) {
	level, _ := rank(&e)
	if w.opts.Level < level {
		return
	}
	buf := linePool.Get().(*[]byte)
	*buf = w.Append((*buf)[:0], &e)
	w.add(*buf)
	linePool.Put(buf)
}

// Log logs a free text under a queue id (NoQueue when there is no envelope, "" for a line without id).
func (w *Writer) Log(sev Severity, id, text string) {
	w.add(w.AppendRecord(nil, time.Time{}, sev, id, text))
}

var linePool = sync.Pool{New: func() any { return new([]byte) }}

// add hands whole lines to the goroutine.
func (w *Writer) add(lines []byte) {
	if len(lines) == 0 {
		return
	}
	w.mu.Lock()
	for len(w.pending) > 0 && len(w.pending)+len(lines) > w.opts.MaxPending && !w.closed && !w.failing {
		w.room.Wait()
	}
	if w.closed || w.failing && len(w.pending)+len(lines) > w.opts.MaxPending {
		w.dropped++ // nobody reads them: a full disk must not stop the mail
		w.mu.Unlock()
		return
	}
	w.pending = append(w.pending, lines...)
	full := len(w.pending) > w.opts.MaxPending/2
	w.mu.Unlock()
	if w.opts.Delay < 0 {
		w.drain()
		return
	}
	signal(w.wake)
	if full {
		signal(w.full)
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes what has come together, until Close.
func (w *Writer) run() {
	defer close(w.done)
	for range w.wake {
		w.mu.Lock()
		closed := w.closed
		w.mu.Unlock()
		if !closed {
			select {
			case <-time.After(w.opts.Delay):
			case <-w.full:
			}
		}
		w.drain()
		if closed {
			return
		}
	}
}

// drain writes everything that is pending.
func (w *Writer) drain() {
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	w.mu.Lock()
	lines := w.pending
	w.pending = w.spare[:0]
	w.mu.Unlock()
	if len(lines) == 0 {
		w.spare = lines
		return
	}
	err := w.write(lines)
	w.spare = lines
	if cap(lines) > 4<<20 {
		w.spare = nil
	}
	w.mu.Lock()
	if w.failing = err != nil; w.err == nil {
		w.err = err
	}
	w.room.Broadcast()
	w.mu.Unlock()
}

func (w *Writer) write(lines []byte) error {
	if !w.opts.Syslog {
		_, err := w.out.Write(lines)
		return err
	}
	var err error
	for line := range bytes.Lines(lines) {
		if _, werr := w.out.Write(bytes.TrimSuffix(line, []byte("\n"))); werr != nil {
			err = werr
		}
	}
	return err
}

// Flush writes everything logged so far. Its error tells that a write failed since the last call, so that lines were
// lost, and how many more events were dropped because MaxPending bytes waited already.
func (w *Writer) Flush() error {
	w.drain()
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.err
	if w.dropped > 0 {
		err = errors.Join(err, fmt.Errorf("%d log events lost", w.dropped))
		w.dropped = 0
	}
	w.err = nil
	return err
}

// Reopen closes the file and opens the path again, for log rotation. It does nothing for a Writer that Open did not
// make. When the path cannot be opened, the old file stays in use.
func (w *Writer) Reopen() error {
	if w.path == "" {
		return nil
	}
	w.drain()
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	f, err := openLog(w.path)
	if err != nil {
		return err
	}
	err = w.close()
	w.out, w.close = f, f.Close
	return err
}

// Close writes what is pending, ends the goroutine and closes what Open or DialSyslog opened. Events after it are
// dropped.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return os.ErrClosed
	}
	w.closed = true
	w.mu.Unlock()
	signal(w.wake)
	signal(w.full)
	<-w.done
	err := w.Flush()
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	return errors.Join(err, w.close())
}
