package queue

import (
	"bufio"
	"bytes"
	"io"
	"syscall"
)

// errCrossDevice is what a link across file systems fails with.
const errCrossDevice = syscall.EXDEV

// message reads header, empty line and body, the body from memory or from a file.
type message struct {
	header []byte
	nl     bool // the empty line was read
	mem    []byte
	file   io.Reader
	keep   bool // the file belongs to somebody else
}

var newline = []byte{'\n'}

func (m *message) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	switch {
	case len(m.header) > 0:
		n := copy(p, m.header)
		m.header = m.header[n:]
		return n, nil
	case !m.nl:
		m.nl = true
		p[0] = '\n'
		return 1, nil
	case len(m.mem) > 0:
		n := copy(p, m.mem)
		m.mem = m.mem[n:]
		return n, nil
	case m.file != nil:
		return m.file.Read(p)
	}
	return 0, io.EOF
}

// WriteTo implements io.WriterTo, so that io.Copy needs no buffer for what is in memory.
func (m *message) WriteTo(w io.Writer) (n int64, err error) {
	parts := [][]byte{m.header, newline, m.mem}
	if m.nl {
		parts[1] = nil
	}
	m.header, m.mem, m.nl = nil, nil, true
	for _, p := range parts {
		if len(p) == 0 {
			continue
		}
		k, err := w.Write(p)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	if m.file != nil {
		k, err := io.Copy(w, m.file)
		return n + k, err
	}
	return n, nil
}

func (m *message) Close() error {
	c, ok := m.file.(io.Closer)
	m.header, m.mem, m.nl, m.file = nil, nil, true, nil
	if ok && !m.keep {
		return c.Close()
	}
	return nil
}

// sameContent reads both to the end, without holding more than a buffer of each.
func sameContent(a, b io.Reader) bool {
	ra, rb := bufio.NewReader(a), bufio.NewReader(b)
	for {
		pa, ea := ra.Peek(4096)
		pb, eb := rb.Peek(4096)
		if !bytes.Equal(pa, pb) || ea != eb {
			return false
		}
		if ea != nil {
			return ea == io.EOF
		}
		ra.Discard(len(pa))
		rb.Discard(len(pb))
	}
}
