package mbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// Mode says which lines that begin with "From " separate messages. The first line of a file that begins so does in
// every mode.
type Mode uint8

// The modes.
const (
	Auto   Mode = iota // Strict when the first separator has a valid date, Any otherwise
	Strict             // lines with a date in the place where it belongs; see ParseSeparator
	Any                // every line that begins with "From "
)

// String returns the name.
func (m Mode) String() string {
	switch m {
	case Auto:
		return "auto"
	case Strict:
		return "strict"
	case Any:
		return "any"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// ReadOptions tunes a Reader. The zero value is ready for use.
type ReadOptions struct {
	// Variant says how quoting is undone and whether Content-Length is used. The zero value is MboxRD, which is safe
	// for MboxO too unless a text had ">From" lines of its own; Detect guesses.
	Variant Variant
	// Mode says which lines are separators. The zero value is Auto.
	Mode Mode
	// NeedBlank demands an empty line before a separator. Some writers leave it out, so the default does not.
	NeedBlank bool
	// ContentLength uses Content-Length fields in every variant, not in MboxCL and MboxCL2 alone. A length counts only
	// when the message ends in the right place with it.
	ContentLength bool
	// Raw leaves quoted lines as they are stored.
	Raw bool
	// SkipJunk skips what stands before the first separator. Otherwise that is ErrNotMbox, unless it is empty lines or
	// a byte order mark.
	SkipJunk bool
	// Location is where the dates of separators without zone are taken to be from. Nil means UTC.
	Location *time.Location
	// MaxSeparator is the longest From_ line, in bytes; a longer line is text. Zero means 1 MiB.
	MaxSeparator int
	// MaxLookahead is how much of a message is held in memory to check a Content-Length when the source is not an
	// io.ReaderAt with Seek, such as a pipe. Zero means 64 MiB. A longer one is ErrLookahead in
	// MboxCL2; in the other variants its length is not used.
	MaxLookahead int64
}

// Errors of a Reader, and of its messages.
var (
	// ErrNotMbox: the input does not begin with a separator.
	ErrNotMbox = errors.New("not an mbox: no From_ line at the beginning")
	// ErrConsumed: Header was called after Read.
	ErrConsumed = errors.New("the message was read already")
	// ErrLookahead: a Content-Length cannot be checked without holding more than MaxLookahead bytes.
	ErrLookahead = errors.New("message too long to check its Content-Length in a stream")
)

const bufferSize = 128 << 10

// Leading tells what stands before the first separator.
type Leading uint8

// What may stand there.
const (
	LeadingNone  Leading = iota
	LeadingBlank         // empty lines
	LeadingBOM           // a UTF-8 byte order mark, and perhaps empty lines
	LeadingJunk          // other text
)

// String returns the name: none, blank, bom or junk.
func (l Leading) String() string {
	switch l {
	case LeadingNone:
		return "none"
	case LeadingBlank:
		return "blank"
	case LeadingBOM:
		return "bom"
	}
	return "junk"
}

// A Reader reads the messages of an mbox one after the other, in constant memory. Its options may be changed before
// the first message is read. It is not safe for concurrent use.
type Reader struct {
	ReadOptions

	src    io.Reader
	at     io.ReaderAt // src, when it can be looked ahead in; offset 0 is at origin
	origin int64
	buf    []byte // buf[r:w] is not consumed
	r, w   int
	base   int64 // offset of buf[0]
	scan   int   // buf[r:scan] holds no event
	eof    bool
	fault  error // what src said, if not io.EOF

	begun   bool
	mode    Mode // with Auto resolved
	leading Leading
	skipped int64
	line    []byte    // From_ line of the current message
	state   lineState // of the text before r
	ended   bool      // the current message is consumed; r stands at a separator or at the end
	end     int64     // its end, once ended
	limit   int64     // where a Content-Length says that it ends; -1 without one
	unsure  bool      // the end of the input decided about its Content-Length
	discard bool      // nobody looks at the text
	gap     bool      // a ">" was dropped before the piece that next returned
	gapNext bool      // and one behind it
	msg     Message
}

// NewReader returns a Reader over r.
func NewReader(r io.Reader) *Reader {
	return &Reader{src: r, ended: true, limit: -1}
}

// Reset makes the Reader read from r, keeping options and memory.
func (rd *Reader) Reset(r io.Reader) {
	*rd = Reader{ReadOptions: rd.ReadOptions, src: r, buf: rd.buf, line: rd.line[:0], ended: true, limit: -1}
}

// Leading tells what stood before the first separator, and how many bytes. It is known with the first message.
func (rd *Reader) Leading() (Leading, int64) { return rd.leading, rd.skipped }

// SeparatorMode returns the mode in use: Strict or Any, once the first message was read.
func (rd *Reader) SeparatorMode() Mode { return rd.mode }

// Message is one message of an mbox. It is an io.Reader of the text, header and body, as it was before it was
// stored: without the From_ line, without the empty line at the end, and without quoting unless Raw is set. Line ends
// are what they are in the file. A Message is valid until the next one is asked for.
type Message struct {
	// Offset is where the From_ line begins, Start where the text begins.
	Offset, Start int64
	rd            *Reader
	rest          []byte // read from the file, not yet given to the caller
}

// Messages yields the messages in order. A message that is not read to its end is skipped. The loop ends with an
// error as its last step, or at the end of the input.
func (rd *Reader) Messages() iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		for {
			m, err := rd.Next()
			if err == io.EOF {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Next skips the rest of the current message and returns the next one; io.EOF when there is none.
func (rd *Reader) Next() (*Message, error) {
	if !rd.begun {
		rd.begun = true
		if err := rd.lead(); err != nil {
			return nil, err
		}
	}
	rd.msg.rest = nil
	rd.discard = true
	for !rd.ended {
		if _, err := rd.next(); err != nil && err != io.EOF {
			return nil, err
		}
	}
	rd.discard = false
	if err := rd.take(); err != nil {
		return nil, err
	}
	return &rd.msg, nil
}

// take reads the From_ line at r and sets up the message behind it.
func (rd *Reader) take() error {
	for rd.r == rd.w {
		if rd.eof {
			return rd.over()
		}
		rd.fill()
	}
	n := rd.lineEnd(rd.r, rd.maxSeparator())
	line := rd.buf[rd.r : rd.r+n]
	rd.line = append(rd.line[:0], line...)
	rd.msg = Message{Offset: rd.pos(rd.r), Start: rd.pos(rd.r + n), rd: rd}
	rd.r += n
	rd.scan = rd.r
	rd.state, rd.ended, rd.limit, rd.unsure = atStart, false, -1, false
	if rd.Variant.HasLength() || rd.ContentLength {
		return rd.useLength()
	}
	return nil
}

// over is the error at the end of the input.
func (rd *Reader) over() error {
	if rd.fault != nil {
		return rd.fault
	}
	return io.EOF
}

func (rd *Reader) pos(i int) int64 { return rd.base + int64(i) }

func (rd *Reader) maxSeparator() int {
	if rd.MaxSeparator > 0 {
		return rd.MaxSeparator
	}
	return 1 << 20
}

// fill reads more, behind what is not consumed. It grows the buffer when that is full.
func (rd *Reader) fill() {
	if rd.r > 0 {
		copy(rd.buf, rd.buf[rd.r:rd.w])
		rd.base += int64(rd.r)
		rd.scan -= rd.r
		rd.w -= rd.r
		rd.r = 0
	}
	if rd.buf == nil {
		rd.buf = make([]byte, bufferSize)
	}
	if rd.w == len(rd.buf) {
		rd.buf = append(rd.buf, make([]byte, len(rd.buf))...)
	}
	for try := 0; try < 100; try++ {
		n, err := rd.src.Read(rd.buf[rd.w:])
		rd.w += n
		if err != nil {
			rd.eof = true
			if err != io.EOF {
				rd.fault = err
			}
			return
		}
		if n > 0 {
			return
		}
	}
	rd.eof, rd.fault = true, io.ErrNoProgress
}

// lineEnd returns the length of the line at buf[i:], line end included, reading more as needed up to max. i must not
// be below r; it is an index that fill would move, so callers pass r itself or know that nothing is read.
func (rd *Reader) lineEnd(i, max int) int {
	n := 0
	for {
		if j := bytes.IndexByte(rd.buf[i+n:rd.w], '\n'); j >= 0 {
			return n + j + 1
		}
		n = rd.w - i
		if rd.eof || n >= max {
			return n
		}
		i -= rd.r
		rd.fill()
	}
}

var bom = []byte("\xef\xbb\xbf")

// lead skips what stands before the first separator.
func (rd *Reader) lead() error {
	for !rd.eof && rd.w < 5 {
		rd.fill()
	}
	if bytes.HasPrefix(rd.buf[:rd.w], bom) {
		rd.leading = LeadingBOM
		rd.r = len(bom)
	}
	for {
		n := rd.lineEnd(rd.r, rd.maxSeparator())
		line := rd.buf[rd.r : rd.r+n]
		if s := string(line); s != "\n" && s != "\r\n" {
			break
		}
		rd.r += n
		if rd.leading == LeadingNone {
			rd.leading = LeadingBlank
		}
	}
	rd.scan = rd.r
	rd.skipped = rd.pos(rd.r)
	n := rd.lineEnd(rd.r, rd.maxSeparator())
	line := rd.buf[rd.r : rd.r+n]
	if n == 0 {
		return nil
	}
	if !hasFrom(line) {
		return rd.leadJunk()
	}
	rd.setMode(line)
	return nil
}

// setMode resolves Auto by the first separator.
func (rd *Reader) setMode(line []byte) {
	if rd.mode = rd.Mode; rd.mode == Auto {
		rd.mode = Any
		if validSeparator(line) {
			rd.mode = Strict
		}
	}
}

// leadJunk looks for the first separator within other text, which it treats like a message.
func (rd *Reader) leadJunk() error {
	rd.leading = LeadingJunk
	if !rd.SkipJunk {
		if rd.fault != nil {
			return rd.fault
		}
		return ErrNotMbox
	}
	rd.mode = rd.Mode
	if rd.mode == Auto {
		rd.mode = Strict
	}
	rd.msg.Start = rd.pos(rd.r)
	rd.ended, rd.discard = false, true
	for !rd.ended {
		if _, err := rd.next(); err != nil && err != io.EOF {
			return err
		}
	}
	rd.skipped = rd.pos(rd.r)
	return nil
}

// next returns the next piece of the current message's text, which stays valid until the next call. It is io.EOF
// when there is none; ended is then true.
//
// Separators and quoted lines both hold the word "From ", so the search is for its first letter.
func (rd *Reader) next() ([]byte, error) {
	rd.gap, rd.gapNext = rd.gapNext, false
	for !rd.ended {
		w := rd.w // end of what belongs to the message for certain not after
		if rd.limit >= 0 {
			w = int(min(int64(w), rd.limit-rd.base))
		}
		hold := max(w-4, rd.r) // a blank line before a separator, or the last ">" of a quoted line
		for rd.scan < w {
			i := bytes.IndexByte(rd.buf[rd.scan:w], 'F')
			if i < 0 {
				rd.scan = w
				break
			}
			p := rd.scan + i
			quoted, ok := rd.startsLine(p)
			if !ok || rd.discard && quoted {
				rd.scan = p + 1
				continue
			}
			n := matchFrom(rd.buf[p:w])
			if n < len(fromWord) {
				if p+n == w && !rd.atEnd(w) { // cut
					rd.scan = p
					hold = max(p-3, rd.r)
					break
				}
				rd.scan = p + 1
				continue
			}
			if quoted {
				if chunk := rd.unquote(p); len(chunk) > 0 {
					return chunk, nil
				}
				continue
			}
			found, cut := rd.separator(p, w)
			if found {
				return rd.finish(p, rd.trim(p))
			}
			if cut {
				rd.scan = p
				hold = max(p-3, rd.r)
				break
			}
			rd.scan = p + len(fromWord)
		}
		switch {
		case rd.limit >= 0 && rd.pos(w) == rd.limit:
			return rd.finishLength(w)
		case rd.fault != nil && rd.scan >= w: // an end that is none: nothing is trimmed
			if w == rd.r {
				return nil, rd.fault
			}
			return rd.emit(w), nil
		case rd.limit < 0 && rd.eof && rd.scan >= w:
			return rd.finish(w, rd.trim(w))
		case hold > rd.r:
			return rd.emit(hold), nil
		}
		rd.fill()
		if rd.limit >= 0 && rd.eof && rd.pos(rd.w) < rd.limit { // the file got shorter
			rd.limit = -1
		}
	}
	return nil, io.EOF
}

// atEnd reports whether nothing can follow buf[:w].
func (rd *Reader) atEnd(w int) bool {
	if rd.limit >= 0 {
		return rd.pos(w) == rd.limit
	}
	return rd.eof
}

// emit consumes the text up to i.
func (rd *Reader) emit(i int) []byte {
	chunk := rd.buf[rd.r:i]
	rd.note(chunk)
	rd.r = i
	if rd.scan < i {
		rd.scan = i
	}
	return chunk
}

// note keeps the state of the line before r.
func (rd *Reader) note(chunk []byte) {
	k := len(chunk)
	for k > 0 && chunk[k-1] == '>' {
		k--
	}
	switch {
	case k > 0 && chunk[k-1] != '\n':
		rd.state = inLine
	case k < len(chunk):
		if k > 0 || rd.state != inLine {
			rd.state = afterGTs
		}
	case k > 0:
		rd.state = atStart
	}
}

// startsLine reports whether buf[p] begins a line (ok), or follows nothing but ">" there (quoted).
func (rd *Reader) startsLine(p int) (quoted, ok bool) {
	if p > rd.r {
		switch rd.buf[p-1] {
		case '\n':
			return false, true
		case '>':
		default:
			return false, false
		}
	}
	k := p
	for k > rd.r && rd.buf[k-1] == '>' {
		k--
	}
	if k > rd.r {
		return k < p, rd.buf[k-1] == '\n'
	}
	switch rd.state {
	case atStart:
		return k < p, true
	case afterGTs:
		return true, true
	}
	return false, false
}

// unquote drops the ">" before the word at p, if the variant says so, and returns the text before it.
func (rd *Reader) unquote(p int) []byte {
	drop := !rd.Raw
	switch rd.Variant {
	case MboxCL2:
		drop = false
	case MboxO, MboxCL: // exactly one
		if p-1 > rd.r {
			drop = drop && rd.buf[p-2] == '\n'
		} else {
			drop = drop && rd.state == atStart
		}
	}
	if !drop {
		rd.scan = p + len(fromWord)
		return nil
	}
	chunk := rd.emit(p - 1)
	if len(chunk) > 0 {
		rd.gapNext = true
	} else {
		rd.gap = true
	}
	rd.r = p
	rd.state = inLine
	rd.scan = p + len(fromWord)
	return chunk
}

// separator reports whether the line at p, which begins with "From ", separates messages; cut means that more
// must be read to know.
func (rd *Reader) separator(p, w int) (found, cut bool) {
	if rd.limit >= 0 {
		return false, false
	}
	if rd.NeedBlank && rd.trim(p) == p {
		return false, false
	}
	if rd.mode == Any {
		return true, false
	}
	n := bytes.IndexByte(rd.buf[p:w], '\n')
	if n < 0 {
		n = w - p
		if !rd.eof {
			return false, n < rd.maxSeparator()
		}
	}
	return validSeparator(rd.buf[p : p+n]), false
}

// trim returns e less the one empty line, LF or CR LF, that the text before it may end in.
func (rd *Reader) trim(e int) int {
	if e == rd.r || rd.buf[e-1] != '\n' {
		return e
	}
	q := e - 1
	if q > rd.r && rd.buf[q-1] == '\r' {
		q--
	}
	if q > rd.r && rd.buf[q-1] == '\n' || rd.pos(q) == rd.msg.Start {
		return q
	}
	return e
}

// finish ends the message whose text ends at e; what follows begins at p.
func (rd *Reader) finish(p, e int) ([]byte, error) {
	chunk := rd.buf[rd.r:e]
	rd.end = rd.pos(e)
	rd.r, rd.scan, rd.ended = p, p, true
	if len(chunk) == 0 {
		return nil, io.EOF
	}
	return chunk, nil
}

// End returns where the text ends in the file, the empty line behind it left out. It is known when the message was
// read to its end; before, ok is false.
func (m *Message) End() (end int64, ok bool) { return m.rd.end, m.rd.ended }

// Line returns the From_ line without its line end. It must not be changed and is valid as long as the Message.
func (m *Message) Line() []byte {
	b := bytes.TrimSuffix(m.rd.line, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r"))
}

// Separator returns what the From_ line says.
func (m *Message) Separator() Separator {
	loc := m.rd.Location
	if loc == nil {
		loc = time.UTC
	}
	sep, _ := parseSeparator(m.rd.line, loc)
	return sep
}

// Read reads the text.
func (m *Message) Read(p []byte) (int, error) {
	for len(m.rest) == 0 {
		chunk, err := m.rd.next()
		if err != nil && len(chunk) == 0 {
			return 0, err
		}
		m.rest = chunk
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// WriteTo writes the rest of the text to w, without copying it in between.
func (m *Message) WriteTo(w io.Writer) (n int64, err error) {
	for {
		chunk := m.rest
		m.rest = nil
		if len(chunk) == 0 {
			if chunk, err = m.rd.next(); err == io.EOF {
				return n, nil
			}
		}
		k, werr := w.Write(chunk)
		n += int64(k)
		if werr != nil {
			return n, werr
		}
		if err != nil {
			return n, err
		}
	}
}

// NextMessage is Next in the form of package go-mbox.
func (rd *Reader) NextMessage() (io.Reader, error) {
	m, err := rd.Next()
	if err != nil {
		return nil, err
	}
	return m, nil
}

// LengthUsed reports whether the message's extent comes from its Content-Length. It must be asked before the next
// message is read.
func (m *Message) LengthUsed() bool { return m.rd.limit >= 0 }
