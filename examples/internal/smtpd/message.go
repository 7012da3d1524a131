package smtpd

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/mtakit/mtakit"
)

// Message is a message as it came in, with LF line ends, dots unstuffed, and nothing added or removed. It is valid
// until Data returns.
type Message struct {
	opt  *Options
	head []byte        // the first SpillBytes, more or less
	rest *os.File      // what did not fit, unlinked
	out  *bufio.Writer // into rest, while the message arrives

	headerLen int // bytes of head that are header fields
	bodyStart int // where the body begins: after the empty line, if there is one

	size       int64 // with LF line ends
	raw        int64 // as transferred
	crlf       bool  // the last thing read was CR LF: a line begins
	pendingCR  bool
	bareCR     bool
	bareLF     bool
	tooBig     bool
	eightBit   bool
	storageErr error
}

var headPool = sync.Pool{New: func() any { return new([]byte) }}

func newMessage(opt *Options) *Message {
	buf := headPool.Get().(*[]byte)
	return &Message{opt: opt, head: (*buf)[:0], crlf: true}
}

// Close gives the memory and the file back.
func (m *Message) Close() {
	if m.rest != nil {
		m.rest.Close() // it has no name any more
		m.rest = nil
	}
	if head := m.head; head != nil && cap(head) <= 256<<10 {
		m.head = nil
		headPool.Put(&head)
	}
}

// Header returns the header fields, each line with its LF, without the empty line. It is valid until Data returns.
func (m *Message) Header() []byte { return m.head[:m.headerLen] }

// Body returns the body from its beginning. The reader is valid until Data returns.
func (m *Message) Body() io.Reader {
	mem := bytes.NewReader(m.head[m.bodyStart:])
	if m.rest == nil {
		return mem
	}
	return io.MultiReader(mem, io.NewSectionReader(m.rest, 0, m.size-int64(len(m.head))))
}

// MemoryBody returns the body when all of it is in memory.
func (m *Message) MemoryBody() (body []byte, ok bool) { return m.head[m.bodyStart:], m.rest == nil }

// BodySize is the number of bytes that Body gives.
func (m *Message) BodySize() int64 { return m.size - int64(m.bodyStart) }

// Separated reports whether an empty line stood between header and body. It is false for a message that ends with its
// header, and for one whose header runs into text that is none.
func (m *Message) Separated() bool { return m.bodyStart > m.headerLen }

// EightBit reports whether any byte has its high bit set.
func (m *Message) EightBit() bool { return m.eightBit }

// readData reads up to the line with only a dot. Errors that are verdicts come after the end was seen; others mean
// that the connection is of no use any more.
func (m *Message) readData(br *bufio.Reader) error {
	for {
		frag, err := br.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if m.crlf && frag[0] == '.' {
			// RFC 5321 section 4.1.1.4: only CR LF . CR LF ends the message.
			if len(frag) == 3 && frag[1] == '\r' && frag[2] == '\n' {
				return m.end()
			}
			frag = frag[1:]
		}
		m.add(frag)
	}
}

// readChunk reads exactly n bytes of a BDAT command.
func (m *Message) readChunk(br *bufio.Reader, n int64) error {
	for n > 0 {
		if _, err := br.Peek(1); err != nil {
			return err
		}
		frag, _ := br.Peek(int(min(n, int64(br.Buffered()))))
		m.add(frag)
		n -= int64(len(frag))
		br.Discard(len(frag))
	}
	return nil
}

// endChunks is called after the last chunk.
func (m *Message) endChunks() error {
	if m.pendingCR {
		m.bareCR = true
	}
	return m.end()
}

// add takes the next bytes of the message, ending anywhere.
func (m *Message) add(p []byte) {
	m.raw += int64(len(p))
	if m.raw > m.opt.MaxMessageBytes {
		m.tooBig = true
	}
	if len(p) == 0 {
		return
	}
	if m.pendingCR {
		m.pendingCR = false
		if p[0] == '\n' {
			m.put(p[:1])
			m.crlf = true
			p = p[1:]
		} else {
			m.bareCR = true
		}
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			m.crlf = false
			if p[len(p)-1] == '\r' {
				m.pendingCR = true
				p = p[:len(p)-1]
			}
			m.bareCR = m.bareCR || bytes.IndexByte(p, '\r') >= 0
			m.put(p)
			return
		}
		line := p[:i+1]
		p = p[i+1:]
		m.crlf = i > 0 && line[i-1] == '\r'
		if !m.crlf {
			m.bareLF = true
			m.put(line)
			continue
		}
		m.bareCR = m.bareCR || bytes.IndexByte(line[:i-1], '\r') >= 0
		line[i-1] = '\n' // the slice is the reader's buffer, consumed already
		m.put(line[:i])
	}
}

// put stores p.
func (m *Message) put(p []byte) {
	if m.tooBig || m.bareCR || m.bareLF || m.storageErr != nil || len(p) == 0 {
		return // refused in any case: only the end is looked for
	}
	m.size += int64(len(p))
	m.eightBit = m.eightBit || !ascii(p)
	if m.rest == nil && len(m.head)+len(p) <= m.opt.SpillBytes {
		m.head = append(m.head, p...)
		return
	}
	if m.rest == nil {
		if m.rest, m.storageErr = spillFile(m.opt.TempDir); m.storageErr != nil {
			return
		}
		m.out = bufio.NewWriterSize(m.rest, 64<<10)
	}
	_, m.storageErr = m.out.Write(p)
}

func ascii(p []byte) bool {
	const high = 0x8080808080808080
	for len(p) >= 8 {
		if binary.NativeEndian.Uint64(p)&high != 0 {
			return false
		}
		p = p[8:]
	}
	for _, c := range p {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// spillFile makes a file that is gone when it is closed.
func spillFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "incoming-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// maxHops is how many Received fields a message may have (sendmail: MaxHopCount).
const maxHops = 25

// end judges the complete message and finds where its header ends.
func (m *Message) end() error {
	if m.out != nil && m.storageErr == nil {
		m.storageErr = m.out.Flush()
	}
	switch {
	case m.tooBig:
		return &mtakit.Error{Code: 552, Status: mtakit.StatusMailboxTooBig,
			Text: fmt.Sprintf("Message exceeds maximum fixed size (%d)", m.opt.MaxMessageBytes)}
	case m.bareCR, m.bareLF:
		return &mtakit.Error{Code: 554, Status: mtakit.StatusSyntax,
			Text: "Message has a CR or LF that is not part of a line end (RFC 5321 section 2.3.8)"}
	case m.storageErr != nil:
		return &mtakit.Error{Code: 452, Status: mtakit.StatusSystemFull,
			Text: "Insufficient disk space; try again later", Err: m.storageErr}
	}
	hops := 0
	m.headerLen, m.bodyStart, hops = scanHeader(m.head)
	if m.headerLen > m.opt.MaxHeaderBytes {
		return &mtakit.Error{Code: 552, Status: mtakit.StatusContent,
			Text: fmt.Sprintf("Headers too large (%d max)", m.opt.MaxHeaderBytes)}
	}
	if hops > maxHops {
		return &mtakit.Error{Code: 554, Status: mtakit.StatusLoop,
			Text: fmt.Sprintf("Too many hops %d (%d max)", hops, maxHops)}
	}
	return nil
}

// scanHeader finds the header at the start of a message: fields (RFC 5322 section 2.2) and their continuation lines,
// up to an empty line, which belongs to neither part, or to the first line that is no field, which starts the body.
func scanHeader(p []byte) (headerLen, bodyStart, hops int) {
	for pos := 0; pos < len(p); {
		line := p[pos:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		switch {
		case line[0] == '\n':
			return pos, pos + 1, hops
		case line[0] == ' ' || line[0] == '\t':
			if pos == 0 {
				return 0, 0, 0
			}
		case !isField(line):
			return pos, pos, hops
		case len(line) > 9 && strings.EqualFold(string(line[:9]), "Received:"):
			hops++
		}
		pos += len(line)
	}
	return len(p), len(p), hops
}

// isField reports whether line begins with a field name and a colon; blanks before the colon are tolerated.
func isField(line []byte) bool {
	i := 0
	for i < len(line) && line[i] > ' ' && line[i] < 0x7f && line[i] != ':' {
		i++
	}
	if i == 0 {
		return false
	}
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	return i < len(line) && line[i] == ':'
}

func isVerdict(err error) bool {
	var e *mtakit.Error
	return errors.As(err, &e)
}
