package mbox

import (
	"bytes"
	"io"
)

// Confidence says how sure Detect is of a variant.
type Confidence uint8

// From a guess to proof.
const (
	Unknown   Confidence = iota // nothing was quoted and no length seen: any variant reads the sample the same
	Ambiguous                   // only ">From " was seen: MboxO or MboxRD
	Likely                      // seen what one variant writes
	Certain                     // every message has a right Content-Length
)

// String returns the name.
func (c Confidence) String() string {
	return [...]string{"unknown", "ambiguous", "likely", "certain"}[min(c, Certain)]
}

// Detection is what Detect found.
type Detection struct {
	Format     string // "mbox", or the name of another format: "mmdf", "babyl", "mbx", "gzip", "bzip2", "xz", "zstd", "empty", "unknown"
	Variant    Variant
	Confidence Confidence
	Mode       Mode // Strict or Any, as Auto would choose
	CRLF       bool // separators end in CR LF
	Messages   int  // looked at
}

// What Detect looks at, at most.
const (
	detectMessages = 200
	detectBytes    = 4 << 20
)

var otherFormats = []struct{ magic, name string }{
	{"\x01\x01\x01\x01\n", "mmdf"}, {"BABYL OPTIONS:", "babyl"}, {"*mbx*\r\n", "mbx"},
	{"\x1f\x8b", "gzip"}, {"BZh", "bzip2"}, {"\xfd7zXZ", "xz"}, {"\x28\xb5\x2f\xfd", "zstd"},
}

// Detect looks at the first messages and says which variant the file probably has.
func Detect(r io.ReaderAt) (Detection, error) {
	var head [16]byte
	n, err := r.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return Detection{}, err
	}
	for _, f := range otherFormats {
		if bytes.HasPrefix(head[:n], []byte(f.magic)) {
			return Detection{Format: f.name}, nil
		}
	}
	d := Detection{Format: "mbox"}
	var seen evidence
	rd := NewReader(io.NewSectionReader(r, 0, 1<<62))
	rd.Variant = MboxCL2
	for m, err := range rd.Messages() {
		if err == ErrNotMbox {
			d.Format = "unknown"
			return d, nil
		}
		if err != nil {
			return d, err
		}
		d.Messages++
		d.CRLF = d.CRLF || bytes.HasSuffix(rd.line, []byte("\r\n"))
		if m.LengthUsed() {
			seen.lengths++
		}
		if err := seen.message(m); err != nil {
			return d, err
		}
		if d.Messages == detectMessages || m.Offset > detectBytes {
			break
		}
	}
	d.Mode = rd.mode
	if d.Messages == 0 {
		d.Format = "empty"
		return d, nil
	}
	d.Variant, d.Confidence = seen.verdict(d.Messages)
	return d, nil
}

// evidence counts what betrays a variant.
type evidence struct {
	lengths   int // messages with a right Content-Length
	bare      int // "From " lines within such a message
	once      int // ">From " lines
	moreTimes int // ">>From " and deeper
}

// message looks for quoted lines; lines longer than the buffer are looked at by their beginning.
func (s *evidence) message(m *Message) error {
	rest := []byte(nil)
	for {
		chunk, err := m.rd.next()
		rest = append(rest, chunk...)
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			s.line(rest[:i], m.LengthUsed())
			rest = rest[i+1:]
		}
		if len(rest) > 1<<16 {
			rest = rest[len(rest)-1:]
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *evidence) line(b []byte, measured bool) {
	n := 0
	for n < len(b) && b[n] == '>' {
		n++
	}
	if !hasFrom(b[n:]) {
		return
	}
	switch {
	case n == 0 && measured:
		s.bare++
	case n == 1:
		s.once++
	case n > 1:
		s.moreTimes++
	}
}

func (s *evidence) verdict(messages int) (Variant, Confidence) {
	switch {
	case s.lengths == messages && s.bare > 0:
		return MboxCL2, Certain
	case s.lengths == messages && s.once > 0:
		return MboxCL, Likely
	case s.lengths == messages:
		return MboxCL2, Likely // nothing to tell it from MboxCL, and read alike
	case s.moreTimes > 0:
		return MboxRD, Likely
	case s.once > 0:
		return MboxRD, Ambiguous
	}
	return MboxRD, Unknown
}
