package mbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// Extent is where a message is in an mbox.
type Extent struct {
	Offset int64 // of the From_ line
	Start  int64 // of the text
	End    int64 // of the text, the empty line behind it left out
}

// Index gives random access to the messages of an mbox. It holds 24 bytes a message, and is good as long as the file
// does not change, or only grows. An Index is safe for concurrent reading.
type Index struct {
	Options  ReadOptions // as the messages were found
	Messages []Extent

	sure    int   // this many messages stay what they are when the file grows
	size    int64 // of the mbox
	modTime time.Time
	tail    [sha256.Size]byte // of its last bytes
}

// tailSize is how much of the end of a file is compared to recognise it.
const tailSize = 4096

// ErrStale is the error when an index does not belong to the file as it is now: build it anew.
var ErrStale = errors.New("index does not match the mailbox")

// ErrIndex is the error when a saved index is damaged.
var ErrIndex = errors.New("damaged index")

// BuildIndex finds all messages of an mbox that has size bytes. Nil options mean the zero value.
func BuildIndex(r io.ReaderAt, size int64, opts *ReadOptions) (*Index, error) {
	x := new(Index)
	if opts != nil {
		x.Options = *opts
	}
	return x, x.extend(r, size)
}

// Update brings the index up to date with a file that has grown, reading only what is new, and again what depends on
// it: the last message, and those from the first one on whose Content-Length pointed behind the old end. It returns ErrStale
// when the file did not just grow.
func (x *Index) Update(r io.ReaderAt, size int64) error {
	if err := x.Check(r, size); err == nil || !errors.Is(err, ErrStale) {
		return err
	}
	if size < x.size {
		return ErrStale
	}
	if tail, err := tailSum(r, x.size); err != nil || tail != x.tail {
		return errors.Join(ErrStale, err)
	}
	x.Messages = x.Messages[:x.sure]
	return x.extend(r, size)
}

// Check reports ErrStale unless size and the last bytes are those that were indexed.
func (x *Index) Check(r io.ReaderAt, size int64) error {
	if size != x.size {
		return fmt.Errorf("%w: it has %d bytes, not %d", ErrStale, size, x.size)
	}
	tail, err := tailSum(r, size)
	if err != nil {
		return err
	}
	if tail != x.tail {
		return fmt.Errorf("%w: its end is another", ErrStale)
	}
	return nil
}

func tailSum(r io.ReaderAt, size int64) (sum [sha256.Size]byte, err error) {
	b := make([]byte, min(size, tailSize))
	if _, err := r.ReadAt(b, size-int64(len(b))); err != nil && err != io.EOF {
		return sum, err
	}
	return sha256.Sum256(b), nil
}

// extend adds the messages behind the last one.
func (x *Index) extend(r io.ReaderAt, size int64) error {
	from := int64(0)
	if n := len(x.Messages); n > 0 {
		from = x.Messages[n-1].End
	}
	rd := NewReader(io.NewSectionReader(r, from, size-from))
	rd.ReadOptions = x.Options
	if from > 0 {
		rd.Mode, rd.SkipJunk = x.Options.Mode, false
	}
	doubt := -1 // first message whose end may be elsewhere when more is known
	for {
		m, err := rd.Next()
		if n := len(x.Messages); n > 0 && x.Messages[n-1].End < 0 {
			x.Messages[n-1].End = from + rd.end
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if x.Options.Mode == Auto && bytes.HasSuffix(rd.line, []byte("\n")) {
			x.Options.Mode = rd.mode // decided by the first separator of the file, once that is complete
		}
		n := len(x.Messages)
		if !bytes.HasSuffix(rd.line, []byte("\n")) {
			n-- // the line may turn out to be no separator
		}
		if doubt < 0 && (rd.unsure || n < len(x.Messages)) {
			doubt = max(n, 0)
		}
		x.Messages = append(x.Messages, Extent{from + m.Offset, from + m.Start, -1})
	}
	// The last message may go on: a Content-Length could have been cut, an empty line may be the body's.
	if x.sure = max(len(x.Messages)-1, 0); doubt >= 0 {
		x.sure = min(x.sure, doubt)
	}
	x.size = size
	var err error
	x.tail, err = tailSum(r, size)
	return err
}

// Open returns message i of the file. It has a buffer of its own: messages may be read side by side.
func (x *Index) Open(r io.ReaderAt, i int) (*Message, error) {
	e := x.Messages[i]
	rd := NewReader(io.NewSectionReader(r, e.Start, e.End-e.Start))
	rd.ReadOptions = x.Options
	rd.buf = make([]byte, min(bufferSize, e.End-e.Start+64))
	rd.line = make([]byte, e.Start-e.Offset)
	if _, err := r.ReadAt(rd.line, e.Offset); err != nil && err != io.EOF {
		return nil, err
	}
	if !hasFrom(rd.line) {
		return nil, fmt.Errorf("%w: no separator at %d", ErrStale, e.Offset)
	}
	rd.base, rd.limit, rd.origin = e.Start, e.End, -e.Start
	rd.begun, rd.ended = true, false
	if e.Start == e.End {
		rd.ended, rd.end = true, e.End
	}
	rd.msg = Message{Offset: e.Offset, Start: e.Start, rd: rd}
	return &rd.msg, nil
}

const indexMagic = "mtakit mbox index 2\n"

// WriteTo saves the index: a magic line, size and time of the file, the options that decide what a message is, the
// hash of its tail, the number of messages, how many of them are sure, their offsets as varints, and a hash of all that.
func (x *Index) WriteTo(w io.Writer) (int64, error) {
	b := append([]byte(nil), indexMagic...)
	b = binary.AppendVarint(b, x.size)
	b = binary.AppendVarint(b, x.modTime.UnixNano())
	b = append(b, byte(x.Options.Variant), byte(x.Options.Mode), flagByte(x.Options.NeedBlank, x.Options.ContentLength, x.Options.SkipJunk))
	b = append(b, x.tail[:]...)
	b = binary.AppendUvarint(b, uint64(len(x.Messages)))
	b = binary.AppendUvarint(b, uint64(x.sure))
	last := int64(0)
	for _, m := range x.Messages {
		b = binary.AppendUvarint(b, uint64(m.Offset-last))
		b = binary.AppendUvarint(b, uint64(m.Start-m.Offset))
		b = binary.AppendUvarint(b, uint64(m.End-m.Start))
		last = m.End
	}
	sum := sha256.Sum256(b)
	n, err := w.Write(append(b, sum[:]...))
	return int64(n), err
}

func flagByte(flags ...bool) (b byte) {
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	return b
}

// ReadIndex reads a saved index. It says nothing about the file: see Check and CheckFile.
func ReadIndex(r io.Reader) (*Index, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if len(b) < len(indexMagic)+2*sha256.Size || !bytes.HasPrefix(b, []byte(indexMagic)) {
		return nil, ErrIndex
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if s := sha256.Sum256(body); !bytes.Equal(s[:], sum) {
		return nil, ErrIndex
	}
	d := indexDecoder{b: body[len(indexMagic):]}
	x := &Index{size: d.varint(), modTime: time.Unix(0, d.varint())}
	o := d.bytes(3)
	copy(x.tail[:], d.bytes(sha256.Size))
	n := d.uvarint()
	sure := d.uvarint()
	if d.bad || n > uint64(len(body)) || sure > n {
		return nil, ErrIndex
	}
	x.sure = int(sure)
	x.Options = ReadOptions{Variant: Variant(o[0]), Mode: Mode(o[1]), NeedBlank: o[2]&1 != 0, ContentLength: o[2]&2 != 0, SkipJunk: o[2]&4 != 0}
	last := int64(0)
	for range n {
		m := Extent{Offset: last + int64(d.uvarint())}
		m.Start = m.Offset + int64(d.uvarint())
		m.End = m.Start + int64(d.uvarint())
		last = m.End
		if m.Offset < 0 || m.Start < m.Offset || m.End < m.Start || m.End > x.size {
			return nil, ErrIndex
		}
		x.Messages = append(x.Messages, m)
	}
	if d.bad || len(d.b) > 0 {
		return nil, ErrIndex
	}
	return x, nil
}

// indexDecoder takes values off the front of b; bad is set when there are none.
type indexDecoder struct {
	b   []byte
	bad bool
}

func (d *indexDecoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *indexDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *indexDecoder) bytes(n int) []byte {
	if len(d.b) < n {
		d.bad = true
		return make([]byte, n)
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

// SetFile notes the modification time of the file that was indexed, for CheckFile.
func (x *Index) SetFile(fi fs.FileInfo) { x.modTime = fi.ModTime() }

// CheckFile is a cheaper Check: size and modification time alone.
func (x *Index) CheckFile(fi fs.FileInfo) error {
	if fi.Size() != x.size || !fi.ModTime().Equal(x.modTime) {
		return ErrStale
	}
	return nil
}
