package alias

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// Parser says how alias files are read. The zero value reads them as a stock sendmail does.
type Parser struct {
	// LocalDomain reports whether mail to a domain, in lower case and without trailing dot, is local: the left side of
	// an entry may be an address there. localhost always is. Nil means no other domain.
	LocalDomain func(domain string) bool
	// UTF8 allows all of UTF-8 in keys (RFC 6531). sendmail refuses keys with bytes from 0x80 to 0x9f.
	UTF8 bool
	// KeepCase keeps keys as they are written: a map declared with -f, when the local mailer keeps case, too. Otherwise
	// they are folded to lower case. Any spelling of postmaster is folded all the same.
	KeepCase bool
	// Append joins the values of repeated keys, the newest first (a map declared with -A). Otherwise the last entry of
	// a key replaces those before it.
	Append bool
	// MaxLine is the length of a joined line in bytes, its newline included, that is still read. Zero means 8191.
	MaxLine int
	// MaxSize is the size of a file in bytes that is still read. Zero means 1 GiB; it cannot exceed 4 GiB.
	MaxSize int64
}

func (p *Parser) maxLine() int {
	if p.MaxLine > 0 {
		return p.MaxLine
	}
	return 8191
}

func (p *Parser) maxSize() int64 {
	if p.MaxSize <= 0 {
		return 1 << 30
	}
	return min(p.MaxSize, math.MaxUint32)
}

// Parse reads an alias file with the zero Parser.
func Parse(r io.Reader, name string) (*File, error) { return new(Parser).Parse(r, name) }

// Parse reads an alias file. name only appears in positions. It keeps every good entry and joins an
// *mtakit.SyntaxError for each bad line, with the reasons named Err… in its chain; the File is usable all the same.
// A file that cannot be read to its end is an error without File: half of a table is no table.
func (p *Parser) Parse(r io.Reader, name string) (*File, error) {
	text, err := readAll(r, p.maxSize())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f := &File{name: name, text: text, parser: *p}
	f.index.init(strings.Count(text, "\n") + 1)
	f.lines.init(text)
	var errs []error
	s := scanner{text: text, max: p.maxLine()}
	for {
		l, ok := s.next()
		if !ok {
			break
		}
		if err := f.addLine(l); err != nil {
			errs = append(errs, &mtakit.SyntaxError{Pos: mtakit.Position{File: name, Line: l.first, Col: 1}, Err: err})
		}
	}
	return f, errors.Join(errs...)
}

// readAll reads at most limit bytes, into memory of the right size when the reader can tell it.
func readAll(r io.Reader, limit int64) (string, error) {
	var b strings.Builder
	if size := sizeOf(r); size > 0 && size <= limit {
		b.Grow(int(size) + 1)
	}
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("file too large (limit is %d bytes)", limit)
	}
	return b.String(), err
}

func sizeOf(r io.Reader) int64 {
	switch r := r.(type) {
	case interface{ Len() int }:
		return int64(r.Len())
	case interface{ Size() int64 }:
		return r.Size()
	case statter:
		if fi, err := r.Stat(); err == nil {
			return fi.Size()
		}
	}
	return 0
}

// addLine enters one logical line into the file's index.
func (f *File) addLine(l line) error {
	if l.tooLong > 0 {
		return ErrTooLong
	}
	s := f.text[l.start:l.end]
	if key, colon, ok := plainKey(s); ok && !l.joined && !blank(s[colon+1:]) {
		f.addPlain(l, key)
		return nil
	}
	if l.joined {
		s = l.text(f.text)
	}
	switch {
	case s == "" || s[0] == '#':
		return nil
	case s[0] == ' ' || s[0] == '\t':
		return ErrLeadingSpace
	}
	colon := strings.IndexByte(s, ':')
	if colon < 0 {
		return ErrNoColon
	}
	k := f.parser.readKey(s)
	err := k.problem(s)
	if k.err != nil {
		return err
	}
	if blank(s[colon+1:]) {
		return errors.Join(err, lineError(s, ErrNoValue))
	}
	f.add(l, f.parser.foldKey(k.user))
	return err
}

// addPlain enters an entry whose key is plain.
func (f *File) addPlain(l line, key string) {
	for i := 0; i < len(key); i++ {
		if 'A' <= key[i] && key[i] <= 'Z' {
			f.add(l, f.parser.foldKey(key))
			return
		}
	}
	f.insert(l, key)
}

// problem joins everything that is wrong with a key.
func (k *entryKey) problem(s string) error {
	if k.err == nil && k.says == nil {
		return nil
	}
	var errs []error
	for _, c := range k.says {
		if c.about == "" {
			errs = append(errs, c.err)
		} else {
			errs = append(errs, fmt.Errorf("%s... %w", lex.Short(c.about, 203), c.err))
		}
	}
	switch k.err {
	case ErrKey:
		errs = append(errs, lineError(s, k.err))
	case ErrNotLocal:
		errs = append(errs, fmt.Errorf("%s... %w", lex.Short(k.text, 203), k.err))
	}
	return errors.Join(errs...)
}

// foldKey returns the key as it is stored.
func (p *Parser) foldKey(key string) string {
	if p.KeepCase && !strings.EqualFold(key, "postmaster") {
		return key
	}
	return lex.Fold(key)
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func blank(s string) bool { return skipSpace(s) == "" }

func skipSpace(s string) string {
	for i := 0; i < len(s); i++ {
		if !isSpace(s[i]) {
			return s[i:]
		}
	}
	return ""
}

// statter is a file.
type statter interface{ Stat() (fs.FileInfo, error) }
