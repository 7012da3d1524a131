package mbox

import (
	"bytes"
	"io"
)

// lengthLimit is the longest look at a header for its Content-Length, or for Header.
const headerLimit = 1 << 20

// headerEnd returns the length of the header block at r, its empty line included, and whether there is such a line
// (a body). The block ends early at a separator. It is held in the buffer then. ok is false when the header is too
// long.
func (rd *Reader) headerEnd() (n int, body, ok bool) {
	for n < headerLimit {
		if rd.r+n == rd.w {
			if rd.eof {
				return n, false, true
			}
			rd.fill()
			continue
		}
		k := rd.lineEnd(rd.r+n, headerLimit)
		line := rd.buf[rd.r+n : rd.r+n+k]
		if s := string(line); s == "\n" || s == "\r\n" {
			return n + k, true, true
		}
		if hasFrom(line) && rd.splits(line) {
			return n, false, true
		}
		n += k
	}
	return n, false, false
}

// splits reports whether a line within a header is a separator. No empty line stands before it.
func (rd *Reader) splits(line []byte) bool {
	return !rd.NeedBlank && (rd.mode == Any || validSeparator(line))
}

// Header returns the header block as it is stored, with the empty line after it if there is one. It does not
// consume it; it must be called before the message is read, and what it returns is valid until then. A header of
// more than 1 MiB is cut off there.
func (m *Message) Header() ([]byte, error) {
	if m.rd.pos(m.rd.r) != m.Start || len(m.rest) > 0 {
		return nil, ErrConsumed
	}
	n, _, _ := m.rd.headerEnd()
	return m.rd.buf[m.rd.r : m.rd.r+n], nil
}

// useLength sets limit when the header has a Content-Length with which the message ends in the right place.
func (rd *Reader) useLength() error {
	n, body, ok := rd.headerEnd()
	if !ok || !body {
		return nil
	}
	length, ok := contentLength(rd.buf[rd.r : rd.r+n])
	if !ok || length < 0 {
		return nil
	}
	limit := rd.msg.Start + int64(n) + length
	ok, err := rd.endsAt(limit)
	if ok {
		rd.limit = limit
	}
	if err == ErrLookahead && rd.Variant.Quotes() { // separators can be found without it
		err = nil
	}
	return err
}

// contentLength finds the first Content-Length in a header block. It is -1 when its value is not a number of 1 to 18
// digits, which counts as no field at all; ok is false when there is none.
func contentLength(header []byte) (length int64, ok bool) {
	const name = "content-length"
	for len(header) > 0 {
		n := bytes.IndexByte(header, '\n') + 1
		if n == 0 {
			n = len(header)
		}
		line := header[:n]
		header = header[n:]
		if len(line) < len(name)+1 || !bytes.EqualFold(line[:len(name)], []byte(name)) {
			continue
		}
		value := skipBlanks(line[len(name):])
		if len(value) == 0 || value[0] != ':' {
			continue
		}
		value = trimLine(skipBlanks(value[1:]))
		for len(header) > 0 && isBlank(header[0]) { // continued
			n := bytes.IndexByte(header, '\n') + 1
			if n == 0 {
				n = len(header)
			}
			more := trimLine(skipBlanks(header[:n]))
			header = header[n:]
			if len(value) > 0 && len(more) > 0 {
				return -1, true
			}
			if len(more) > 0 {
				value = more
			}
		}
		if len(value) < 1 || len(value) > 18 {
			return -1, true
		}
		for _, c := range value {
			if !isDigit(c) {
				return -1, true
			}
			length = length*10 + int64(c-'0')
		}
		return length, true
	}
	return 0, false
}

// endsAt reports whether a message may end at off: it is within the input, and after at most two line ends there is
// its end or a separator with a valid date. A separator is a line: the same text within a line is none.
func (rd *Reader) endsAt(off int64) (bool, error) {
	off-- // to see the byte before; a header stands there at least
	b, err := rd.peek(off, 256)
	if err != nil || len(b) == 0 {
		rd.unsure = true
		return false, err
	}
	rest := b[1:]
	for range 2 {
		switch {
		case bytes.HasPrefix(rest, []byte("\n")):
			rest = rest[1:]
		case bytes.HasPrefix(rest, []byte("\r\n")):
			rest = rest[2:]
		}
	}
	if len(rest) == 0 {
		return len(b) < 256, nil
	}
	rd.unsure = len(b) < 256 && bytes.IndexByte(rest, '\n') < 0
	if !hasFrom(rest) || len(b)-len(rest) == 1 && b[0] != '\n' {
		return false, nil
	}
	skip := len(b) - len(rest)
	for size := 256; ; size *= 4 {
		if n := bytes.IndexByte(b[skip:], '\n'); n >= 0 {
			return validSeparator(b[skip : skip+n]), nil
		}
		if len(b) < size || size >= rd.maxSeparator() {
			rd.unsure = true
			return validSeparator(b[skip:]), nil
		}
		if b, err = rd.peek(off, size*4); err != nil {
			return false, err
		}
	}
}

// peek returns up to n bytes at off, fewer at the end of the input, nil when off is behind it.
func (rd *Reader) peek(off int64, n int) ([]byte, error) {
	for {
		have := rd.pos(rd.w) - off
		if have >= int64(n) || rd.eof {
			if have < 0 {
				return nil, rd.fault
			}
			i := int(off - rd.base)
			return rd.buf[i:min(i+n, rd.w)], nil
		}
		if at := rd.readerAt(); at != nil && have < 0 {
			b := make([]byte, n)
			k, err := at.ReadAt(b, rd.origin+off)
			switch {
			case err != nil && err != io.EOF:
				return nil, err
			case k == 0 && !rd.reaches(off):
				return nil, nil
			}
			return b[:k], nil
		}
		limit := rd.MaxLookahead
		if limit == 0 {
			limit = 64 << 20
		}
		if int64(rd.w-rd.r) >= limit {
			return nil, ErrLookahead
		}
		rd.fill()
	}
}

// readerAt returns the source as an io.ReaderAt if it is one whose position is known.
func (rd *Reader) readerAt() io.ReaderAt {
	if rd.at != nil {
		return rd.at
	}
	at, ok := rd.src.(io.ReaderAt)
	if !ok {
		return nil
	}
	s, ok := rd.src.(io.Seeker)
	if !ok {
		return nil
	}
	now, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil // a pipe
	}
	rd.at, rd.origin = at, now-rd.pos(rd.w)
	return at
}

// reaches reports whether the input has at least off bytes.
func (rd *Reader) reaches(off int64) bool {
	if off == 0 {
		return true
	}
	var b [1]byte
	k, _ := rd.at.ReadAt(b[:], rd.origin+off-1)
	return k == 1
}

// finishLength ends a message at its Content-Length and skips the line ends behind it.
func (rd *Reader) finishLength(w int) ([]byte, error) {
	if w > rd.r { // give out the text first: the buffer moves below
		chunk := rd.emit(w)
		rd.scan = w
		return chunk, nil
	}
	rd.end = rd.limit
	for range 2 {
		for rd.w-rd.r < 2 && !rd.eof {
			rd.fill()
		}
		switch b := rd.buf[rd.r:rd.w]; {
		case len(b) > 0 && b[0] == '\n':
			rd.r++
		case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
			rd.r += 2
		}
	}
	rd.scan, rd.ended = rd.r, true
	return nil, io.EOF
}
