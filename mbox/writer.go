package mbox

import (
	"errors"
	"io"
	"time"
)

// A Writer writes messages one after the other in the form of a variant. Its options may be changed before the first
// message. It buffers; call Flush or Close at the end. It is not safe for concurrent use.
//
// For a mailbox that others use too, Append takes the locks and syncs.
type Writer struct {
	// Variant is the form. The zero value is MboxRD. In MboxCL and MboxCL2 the length of a message stands before it: when
	// the destination is an io.WriterAt with Seek, such as a file, it is filled in afterwards, otherwise messages are
	// held in memory.
	Variant Variant
	// KeepCR stores CR LF line ends as they come. Otherwise they become LF.
	KeepCR bool
	// MaxMemory is how long a message may be that is held in memory. Zero means 64 MiB.
	MaxMemory int

	w     io.Writer
	e     *encoder
	small []byte // collected small writes, which come before what is written next
	open  bool
	err   error
}

const (
	smallWrite = 512     // a shorter one is collected: line by line is how most programs write
	smallSize  = 8 << 10 // how much of them is collected
)

// NewWriter returns a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// CreateMessage ends the current message and begins another. The text is written to the io.Writer it returns, which is
// good until the next call. from is the envelope sender, t the date of delivery, written in its location.
func (w *Writer) CreateMessage(from string, t time.Time) (io.Writer, error) {
	var room [128]byte
	return w.createLine(AppendSeparator(room[:0], from, t))
}

// createLine begins a message with a From_ line.
func (w *Writer) createLine(line []byte) (io.Writer, error) {
	if w.e == nil {
		w.start()
	}
	if err := w.finish(); err != nil {
		return nil, err
	}
	w.e.begin(line)
	w.open = true
	return (*messageWriter)(w), nil
}

func (w *Writer) start() {
	e := &encoder{out: make([]byte, 0, outSize), variant: w.Variant, keepCR: w.KeepCR, limit: w.MaxMemory}
	if e.limit == 0 {
		e.limit = 64 << 20
	}
	e.flushTo = func(b []byte) error {
		n, err := w.w.Write(b)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		return err
	}
	at, ok := w.w.(io.WriterAt)
	s, seeks := w.w.(io.Seeker)
	if ok && seeks {
		if pos, err := s.Seek(0, io.SeekCurrent); err == nil {
			e.patch = func(b []byte, off int64) error {
				_, err := at.WriteAt(b, pos+off)
				return err
			}
		}
	}
	w.e, w.small = e, make([]byte, 0, smallSize)
}

// finish completes the current message.
func (w *Writer) finish() error {
	if w.err == nil && w.open {
		if w.err = w.collected(); w.err == nil {
			w.err = w.e.end()
		}
		w.open = false
	}
	if w.err == nil && len(w.e.out) >= outSize/2 {
		w.err = w.e.flush()
	}
	return w.err
}

// collected gives the encoder the small writes.
func (w *Writer) collected() error {
	if len(w.small) == 0 {
		return nil
	}
	_, err := w.e.Write(w.small)
	w.small = w.small[:0]
	return err
}

// messageWriter is the Writer as it takes a message's text.
type messageWriter Writer

func (m *messageWriter) Write(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if !m.open {
		return 0, errors.New("no message is open")
	}
	if len(p) < smallWrite && len(p) <= cap(m.small)-len(m.small) {
		m.small = append(m.small, p...)
		return len(p), nil
	}
	if m.err = (*Writer)(m).collected(); m.err != nil {
		return 0, m.err
	}
	if len(p) < smallWrite {
		m.small = append(m.small, p...)
		return len(p), nil
	}
	n, err := m.e.Write(p)
	m.err = err
	return n, err
}

// Flush ends the current message and writes what is buffered.
func (w *Writer) Flush() error {
	if w.e == nil {
		return nil
	}
	if err := w.finish(); err != nil {
		return err
	}
	w.err = w.e.flush()
	return w.err
}

// Close is Flush; it does not close the destination.
func (w *Writer) Close() error { return w.Flush() }
