package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
)

// bodyBuffers hold a piece of a message on its way to the wire.
var bodyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// bodyError is a failure to read the message, as opposed to a failure to send it.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "reading the message: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// writeBody sends a message with LF line ends as DATA wants it: CRLF line ends, lines that begin with a dot doubled
// (RFC 5321 section 4.5.2), a line end added when the last line has none, and the final dot. A CR that is not part
// of a line end becomes a blank: CR may only appear in front of LF (RFC 5321 section 2.3.8), and servers that read
// it differently are how mail is smuggled. CRLF counts as one line end. Nothing is flushed on error, so that the
// final dot never follows half a message.
func writeBody(w *bufio.Writer, r io.Reader) error {
	p := bodyBuffers.Get().(*[]byte)
	defer bodyBuffers.Put(p)
	e := bodyEncoder{w: w, bol: true}
	for {
		n, err := r.Read(*p)
		if n > 0 {
			if err := e.write((*p)[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return e.end()
		}
		if err != nil {
			return &bodyError{err}
		}
	}
}

type bodyEncoder struct {
	w   *bufio.Writer
	bol bool // at the beginning of a line
	cr  bool // a CR is held back until it is known whether LF follows
}

// write encodes a piece of the message. bufio.Writer keeps the first error, so only the last one is looked at.
func (e *bodyEncoder) write(p []byte) (err error) {
	for len(p) > 0 {
		if e.cr {
			e.cr = false
			if p[0] != '\n' {
				err = e.w.WriteByte(' ')
				e.bol = false
			}
		}
		i := bytes.IndexByte(p, '\n')
		line := p
		if i >= 0 {
			line = p[:i]
		}
		if e.bol && len(line) > 0 && line[0] == '.' {
			err = e.w.WriteByte('.')
		}
		if n := len(line); n > 0 {
			if line[n-1] == '\r' {
				line, e.cr = line[:n-1], i < 0
			}
			err = e.text(line)
			e.bol = false
		}
		if i < 0 {
			return err
		}
		_, err = e.w.WriteString("\r\n")
		e.bol = true
		p = p[i+1:]
	}
	return err
}

// text writes a part of a line, with a blank for each CR in it.
func (e *bodyEncoder) text(line []byte) (err error) {
	for {
		i := bytes.IndexByte(line, '\r')
		if i < 0 {
			_, err = e.w.Write(line)
			return err
		}
		e.w.Write(line[:i])
		if err = e.w.WriteByte(' '); err != nil {
			return err
		}
		line = line[i+1:]
	}
}

func (e *bodyEncoder) end() error {
	if e.cr {
		e.w.WriteByte(' ')
	}
	if !e.bol {
		e.w.WriteString("\r\n")
	}
	_, err := e.w.WriteString(".\r\n")
	return err
}
