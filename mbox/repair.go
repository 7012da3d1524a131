package mbox

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"time"
)

// DamageKind is what is wrong at a place of an mbox.
type DamageKind uint8

// The kinds of damage.
const (
	DamageJunk         DamageKind = iota + 1 // text before the first separator; a repair drops it
	DamageNoBlank                            // no empty line before a separator; a repair adds it
	DamageUnterminated                       // the last line has no line end; a repair adds it
	DamageNUL                                // a run of NUL bytes at the end, left by a crash; a repair drops it
	DamageLength                             // a Content-Length that does not fit; a repair drops or corrects it
	DamageSeparator                          // a separator without a valid date; a repair gives it one (1 January 1970)
	DamageLookalike                          // a line that begins with "From " and is no separator; a repair quotes it
	DamageCRLF                               // a separator that ends in CR LF; a repair writes LF everywhere
)

var damageNames = [...]string{DamageJunk: "junk", DamageNoBlank: "no blank line", DamageUnterminated: "unterminated", DamageNUL: "NUL bytes",
	DamageLength: "Content-Length", DamageSeparator: "separator", DamageLookalike: "unquoted From_ line", DamageCRLF: "CR LF"}

// String returns a short name.
func (k DamageKind) String() string {
	if int(k) < len(damageNames) && k > 0 {
		return damageNames[k]
	}
	return fmt.Sprintf("DamageKind(%d)", uint8(k))
}

// Damage is one thing that is wrong with an mbox.
type Damage struct {
	Kind   DamageKind
	Offset int64 // where
	Length int64 // how many bytes it is about; 0 when it is a place
}

// String prints offset and kind.
func (d Damage) String() string { return fmt.Sprintf("%d: %v", d.Offset, d.Kind) }

// minNULs is how many NUL bytes at the end are taken for what a crash left, not for content.
const minNULs = 16

// Damages looks an mbox over and yields what is wrong with it, in order, message by message. It changes nothing; Repair
// tells what a fix does. An input that cannot be read ends the loop with an error.
func Damages(r io.Reader, opts *ReadOptions) iter.Seq2[Damage, error] {
	return func(yield func(Damage, error) bool) {
		err := examine(r, opts, nil, func(d Damage) bool { return yield(d, nil) })
		if err != nil && err != errStopped {
			yield(Damage{}, err)
		}
	}
}

// Repair reads a damaged mbox and writes its messages to w in good form: each From_ line that was valid as it was, quoting
// and Content-Length as w's variant demands, LF line ends, one empty line between messages. It returns what it
// repaired. It never changes its input.
func Repair(w *Writer, r io.Reader, opts *ReadOptions) ([]Damage, error) {
	var found []Damage
	err := examine(r, opts, w, func(d Damage) bool {
		found = append(found, d)
		return true
	})
	if err == nil {
		err = w.Flush()
	}
	return found, err
}

var errStopped = fmt.Errorf("stopped")

// examine does both: it reports damage, and writes the messages to w when that is not nil.
func examine(r io.Reader, opts *ReadOptions, w *Writer, report func(Damage) bool) error {
	x := examination{w: w, report: report}
	rd := NewReader(r)
	if opts != nil {
		rd.ReadOptions = *opts
	}
	rd.SkipJunk, rd.Raw = true, w == nil
	end := int64(-1)
	for m, err := range rd.Messages() {
		if err != nil {
			return err
		}
		if end < 0 {
			if kind, n := rd.Leading(); kind == LeadingJunk {
				x.tell(Damage{DamageJunk, 0, n})
			}
		} else if end == m.Offset {
			x.tell(Damage{DamageNoBlank, end, 0})
		}
		if err := x.message(m); err != nil {
			return err
		}
		end, _ = m.End()
	}
	if kind, n := rd.Leading(); end < 0 && kind == LeadingJunk {
		x.tell(Damage{DamageJunk, 0, n})
	}
	if x.stopped {
		return errStopped
	}
	return nil
}

type examination struct {
	w       *Writer
	report  func(Damage) bool
	stopped bool
	pos     int64 // of the next byte of text
	lineAt  int64 // where the current line begins
	head    []byte
	last    byte
	nuls    int64
}

func (x *examination) tell(d Damage) {
	if !x.stopped && !x.report(d) {
		x.stopped = true
	}
}

func (x *examination) message(m *Message) error {
	if x.stopped {
		return errStopped
	}
	line := m.Line()
	sep := m.Separator()
	if bytes.HasSuffix(m.rd.line, []byte("\r\n")) {
		x.tell(Damage{DamageCRLF, m.Offset, int64(len(m.rd.line))})
	}
	if !sep.Valid {
		x.tell(Damage{DamageSeparator, m.Offset, int64(len(line))})
	}
	if err := x.length(m); err != nil {
		return err
	}
	var out io.Writer
	if x.w != nil {
		good := append(bytes.TrimRight(bytes.Clone(line), "\r"), '\n')
		if !sep.Valid {
			good = AppendSeparator(nil, sep.Sender, time.Unix(0, 0).UTC())
		}
		var err error
		if out, err = x.w.createLine(good); err != nil {
			return err
		}
	}
	x.pos, x.lineAt, x.head, x.last, x.nuls = m.Start, m.Start, x.head[:0], '\n', 0
	return x.text(m, out)
}

// length reports a Content-Length that the reader did not use, in the variants that have one.
func (x *examination) length(m *Message) error {
	if !m.rd.Variant.HasLength() && !m.rd.ContentLength {
		return nil
	}
	header, err := m.Header()
	if err != nil {
		return err
	}
	if _, ok := contentLength(header); ok && !m.LengthUsed() {
		x.tell(Damage{DamageLength, m.Start, int64(len(header))})
	}
	return nil
}

// text reads the message, looks at its lines and passes it on, less NUL bytes at its end.
func (x *examination) text(m *Message, out io.Writer) error {
	for {
		chunk, err := m.rd.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		measured := m.LengthUsed() || !m.rd.Variant.Quotes()
		if m.rd.gap {
			x.lines([]byte{'>'}, measured) // it stands in the file
		}
		x.lines(chunk, measured)
		if out == nil {
			continue
		}
		body := bytes.TrimRight(chunk, "\x00")
		if err := writeNULs(out, x.nuls, len(body) > 0); err != nil {
			return err
		}
		if len(body) > 0 {
			x.nuls = 0
			if _, err := out.Write(body); err != nil {
				return err
			}
		}
		x.nuls += int64(len(chunk) - len(body))
	}
	end, _ := m.End()
	switch {
	case out == nil && x.nuls >= minNULs, out != nil && x.nuls >= minNULs:
		x.tell(Damage{DamageNUL, end - x.nuls, x.nuls})
	case x.last != '\n' && end == m.rd.pos(m.rd.w) && m.rd.eof && m.rd.r == m.rd.w:
		x.tell(Damage{DamageUnterminated, end, 0})
	}
	if out != nil && x.nuls < minNULs {
		return writeNULs(out, x.nuls, true)
	}
	return nil
}

// writeNULs writes NUL bytes that turned out to be content after all.
func writeNULs(out io.Writer, n int64, doIt bool) error {
	if !doIt || n == 0 {
		return nil
	}
	_, err := io.CopyN(out, zeros{}, n)
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// lines looks for lines that begin with "From ", across pieces.
func (x *examination) lines(chunk []byte, measured bool) {
	if x.w == nil {
		x.countNULs(chunk)
	}
	for len(chunk) > 0 {
		n := bytes.IndexByte(chunk, '\n') + 1
		ended := n > 0
		if !ended {
			n = len(chunk)
		}
		if room := len(fromWord) - len(x.head); room > 0 {
			x.head = append(x.head, chunk[:min(room, n)]...)
			if len(x.head) == len(fromWord) && hasFrom(x.head) && !measured {
				x.tell(Damage{DamageLookalike, x.lineAt, int64(len(fromWord))})
			}
		}
		x.pos += int64(n)
		x.last = chunk[n-1]
		chunk = chunk[n:]
		if ended {
			x.head, x.lineAt = x.head[:0], x.pos
		}
	}
}

func (x *examination) countNULs(chunk []byte) {
	body := bytes.TrimRight(chunk, "\x00")
	if len(body) > 0 {
		x.nuls = 0
	}
	x.nuls += int64(len(chunk) - len(body))
}
