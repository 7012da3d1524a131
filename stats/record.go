package stats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Dimensions of the file.
const (
	MaxMailers = 25
	Size       = 1448 // of the record, in bytes
	magic      = 0x0001B1DE
	version    = 4
)

// Errors of Parse. They say what mailstats says after "mailstats: ", the name of the file left out.
var (
	ErrMagic = errors.New("incorrect magic number")
	ErrSize  = errors.New("file size changed")
)

// VersionError is the error of Parse for a version other than 4.
type VersionError int32

// Error names the versions.
func (v VersionError) Error() string {
	return fmt.Sprintf("mailstats version (%d) incompatible with file version (%d)", version, int32(v))
}

// Counters is the content of the file. The zero value has counted nothing.
type Counters struct {
	Since        time.Time // when counting began; the zero Time for a file that was never updated
	ConnAccepted int64
	ConnMade     int64
	ConnRejected int64
	Mailers      [MaxMailers]Mailer

	pad [6]byte // bytes 18 to 23, kept as they were
}

// Mailer is what was counted for one mailer.
type Mailer struct {
	From, KBFrom int64 // messages whose sender belongs to the mailer, and their kilobytes
	To, KBTo     int64 // deliveries through the mailer, and their kilobytes
	Rejected     int64
	Discarded    int64
	Quarantined  int64
}

// fields gives the counters in the order of the file.
func (m *Mailer) fields() [7]*int64 {
	return [7]*int64{&m.From, &m.KBFrom, &m.To, &m.KBTo, &m.Rejected, &m.Discarded, &m.Quarantined}
}

// Parse reads the record at the beginning of r. An empty input is a file that was never updated and gives zero Counters.
// name appears in errors, which wrap ErrMagic, ErrSize or a VersionError, checked in this order: magic, version, size.
func Parse(r io.Reader, name string) (*Counters, error) {
	var b [Size]byte
	n, err := io.ReadFull(r, b[:])
	switch {
	case err == io.EOF:
		return &Counters{}, nil
	case err != nil && err != io.ErrUnexpectedEOF:
		return nil, err
	}
	c := &Counters{}
	if err := c.decode(b[:n]); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// decode reads a record. Bytes that are missing count as zero for the checks before that of the size.
func (c *Counters) decode(b []byte) error {
	var r [Size]byte
	copy(r[:], b)
	le := binary.LittleEndian
	v := int32(le.Uint32(r[4:]))
	switch {
	case le.Uint32(r[0:]) != magic:
		return ErrMagic
	case v != version:
		return VersionError(v)
	case len(b) < Size, le.Uint16(r[16:]) != Size:
		return ErrSize
	}
	if c.Since = time.Unix(int64(le.Uint64(r[8:])), 0); c.Since.IsZero() {
		c.Since = c.Since.Add(1) // the first second of the year 1 is a time, too, if no likely one
	}
	copy(c.pad[:], r[18:])
	for i, p := range [...]*int64{&c.ConnAccepted, &c.ConnMade, &c.ConnRejected} {
		*p = int64(le.Uint64(r[24+8*i:]))
	}
	for m := range c.Mailers {
		for i, p := range c.Mailers[m].fields() {
			*p = int64(le.Uint64(r[48+200*i+8*m:]))
		}
	}
	return nil
}

// AppendBinary appends the record, Size bytes. The error is always nil.
func (c *Counters) AppendBinary(dst []byte) ([]byte, error) {
	var r [Size]byte
	le := binary.LittleEndian
	le.PutUint32(r[0:], magic)
	le.PutUint32(r[4:], version)
	if !c.Since.IsZero() {
		le.PutUint64(r[8:], uint64(c.Since.Unix()))
	}
	le.PutUint16(r[16:], Size)
	copy(r[18:24], c.pad[:])
	for i, v := range [...]int64{c.ConnAccepted, c.ConnMade, c.ConnRejected} {
		le.PutUint64(r[24+8*i:], uint64(v))
	}
	for m := range c.Mailers {
		for i, p := range c.Mailers[m].fields() {
			le.PutUint64(r[48+200*i+8*m:], uint64(*p))
		}
	}
	return append(dst, r[:]...), nil
}

// WriteTo writes the record, Size bytes.
func (c *Counters) WriteTo(w io.Writer) (int64, error) {
	b, _ := c.AppendBinary(nil)
	n, err := w.Write(b)
	return int64(n), err
}

// Add adds what d counted. Since stays.
func (c *Counters) Add(d *Counters) {
	c.ConnAccepted += d.ConnAccepted
	c.ConnMade += d.ConnMade
	c.ConnRejected += d.ConnRejected
	for m := range c.Mailers {
		to, from := c.Mailers[m].fields(), d.Mailers[m].fields()
		for i := range to {
			*to[i] += *from[i]
		}
	}
}

// Kilobytes is how sendmail counts a size: thousands of bytes, rounded up.
func Kilobytes(size int64) int64 {
	if size <= 0 {
		return 0
	}
	return (size-1)/1000 + 1
}
