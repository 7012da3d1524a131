package mbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

const (
	outSize   = 64 << 10 // what is written with one system call
	maxHeader = 1 << 20  // a header longer than this is not searched for Content-Length
)

// An encoder writes messages in the form of a variant: separator, text with look-alikes quoted and its last line
// completed, and one empty line. Content-Length fields are its own business in the cl variants.
type encoder struct {
	variant Variant
	keepCR  bool
	out     []byte             // not yet written
	flushTo func([]byte) error // writes
	written int64              // bytes handed to flushTo
	// patch overwrites bytes at an offset (counted like written) of what was flushed. Nil when the destination cannot
	// do that: then a message of a cl variant is held in memory until it is complete.
	patch func(b []byte, off int64) error
	limit int // how much of a message is held in memory

	q       quoter
	last    byte // of the text; 0 before the first
	cr      bool // a CR is held back
	header  bool // still in the header
	field   []byte
	lenAt   int64 // offset of the digits of Content-Length
	bodyAt  int64 // offset of the body
	scratch []byte
}

// errLength is returned when the length field would have to be written before the length is known.
var errLength = errors.New("message is too long to be held in memory, and the destination cannot be rewritten for its Content-Length")

// Buffers and encoders are used again: a delivery allocates next to nothing.
var (
	encoders = sync.Pool{New: func() any { return &encoder{out: make([]byte, 0, outSize)} }}
	buffers  = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
)

// lengthWidth is how many bytes are kept for the digits when they are filled in later.
const lengthWidth = 18

// begin starts a message. sep is the From_ line with its line end.
func (e *encoder) begin(sep []byte) {
	e.out = append(e.out, sep...)
	e.q = quoter{deep: e.variant == MboxRD}
	e.last, e.cr, e.lenAt, e.bodyAt = '\n', false, -1, 0
	e.header = e.variant.HasLength()
	e.field = e.field[:0]
}

// pos is the offset of the next byte.
func (e *encoder) pos() int64 { return e.written + int64(len(e.out)) }

// Write adds text to the message.
func (e *encoder) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		piece := p
		if len(piece) > outSize/4 {
			piece = piece[:outSize/4]
		}
		p = p[len(piece):]
		if err := e.text(piece); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (e *encoder) text(p []byte) error {
	if !e.keepCR && (e.cr || bytes.IndexByte(p, '\r') >= 0) {
		p = e.dropCR(p)
	}
	if len(p) == 0 {
		return nil
	}
	e.keepText(p)
	return e.drain()
}

// keepText adds text whose line ends are settled.
func (e *encoder) keepText(p []byte) {
	for e.header && len(p) > 0 {
		p = e.headerLine(p)
	}
	if len(p) > 0 {
		e.last = p[len(p)-1]
		e.body(p)
	}
}

func (e *encoder) body(p []byte) {
	if e.variant.Quotes() {
		e.out = e.q.append(e.out, p)
	} else {
		e.out = append(e.out, p...)
	}
}

// drain writes what is complete, when there is enough of it.
func (e *encoder) drain() error {
	if len(e.out) < outSize/2 {
		return nil
	}
	if e.variant.HasLength() && e.patch == nil {
		if len(e.out) > e.limit {
			return errLength
		}
		return nil
	}
	return e.flush()
}

func (e *encoder) flush() error {
	if len(e.out) == 0 {
		return nil
	}
	err := e.flushTo(e.out)
	e.written += int64(len(e.out))
	e.out = e.out[:0]
	return err
}

// dropCR returns p with CR LF turned into LF. A CR at the end waits for what follows.
func (e *encoder) dropCR(p []byte) []byte {
	s := e.scratch[:0]
	for len(p) > 0 {
		if e.cr {
			e.cr = false
			if p[0] != '\n' {
				s = append(s, '\r')
			}
		}
		i := bytes.IndexByte(p, '\r')
		if i < 0 {
			s = append(s, p...)
			break
		}
		s = append(s, p[:i]...)
		p = p[i+1:]
		e.cr = true
	}
	e.scratch = s
	return s
}

// headerLine takes one line of the header, or a piece of one, and returns the rest. A complete field is written
// unless it is a Content-Length; the empty line is preceded by ours.
func (e *encoder) headerLine(p []byte) []byte {
	i := bytes.IndexByte(p, '\n') + 1
	if i == 0 {
		i = len(p)
	}
	if e.last == '\n' && len(e.field) > 0 && !isBlank(p[0]) { // p begins a new field
		e.endField()
	}
	e.last = p[i-1]
	e.field = append(e.field, p[:i]...)
	switch {
	case string(e.field) == "\n", string(e.field) == "\r\n":
		e.lengthField()
		e.out = append(e.out, e.field...)
		e.field = e.field[:0]
		e.startBody()
	case len(e.field) > maxHeader:
		e.endField()
	}
	return p[i:]
}

// endField writes the field that is complete.
func (e *encoder) endField() {
	if name, _, ok := bytes.Cut(e.field, []byte(":")); ok && bytes.EqualFold(trimLine(name), []byte("Content-Length")) {
		e.field = e.field[:0]
		return
	}
	// In every variant: no length protects the header from being split.
	e.out = e.q.append(e.out, e.field)
	e.field = e.field[:0]
}

// lengthField writes the name and room for the digits.
func (e *encoder) lengthField() {
	e.out = e.q.finish(e.out)
	e.out = append(e.out, "Content-Length: "...)
	e.lenAt = e.pos()
	e.out = append(e.out, "                  "[:lengthWidth]...)
	e.out = append(e.out, '\n')
}

func (e *encoder) startBody() {
	e.header = false
	e.bodyAt = e.pos()
	e.q = quoter{}
}

// end completes the message: last line, length, empty line. It does not flush.
func (e *encoder) end() error {
	if e.cr {
		e.cr = false
		e.keepText([]byte{'\r'})
	}
	if e.header && e.last != '\n' {
		e.keepText([]byte{'\n'})
	}
	if e.header { // there is no body
		e.endField()
		e.last = '\n'
		e.lengthField()
		e.out = append(e.out, '\n')
		e.startBody()
	}
	e.out = e.q.finish(e.out)
	if e.last != '\n' {
		e.out = append(e.out, '\n')
	}
	if e.lenAt >= 0 {
		if err := e.fillLength(); err != nil {
			return err
		}
	}
	e.out = append(e.out, '\n')
	return nil
}

// fillLength writes the digits, in memory when they are still there: then without padding.
func (e *encoder) fillLength() error {
	digits := strconv.AppendInt(nil, e.pos()-e.bodyAt, 10)
	if len(digits) > lengthWidth {
		return fmt.Errorf("body of %s bytes is too long for a Content-Length", digits)
	}
	if at := e.lenAt - e.written; at >= 0 {
		n := copy(e.out[at:], digits)
		e.out = append(e.out[:int(at)+n], e.out[int(at)+lengthWidth:]...)
		return nil
	}
	// Leading blanks: the value is the same, and the line keeps its length.
	return e.patch(digits, e.lenAt+int64(lengthWidth-len(digits)))
}

// copyFrom adds all of r, calling check before each block.
func (e *encoder) copyFrom(r io.Reader, buf []byte, check func() error) error {
	for {
		if err := check(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if n > 0 {
			if werr := e.text(buf[:n]); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
