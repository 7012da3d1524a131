package mbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/vectordir"
)

// A vectorFile is one entry of expected.json; testdata/vectors/mbox.zip holds a README that explains the fields.
type vectorFile struct {
	File    string                `json:"file"`
	Variant string                `json:"variant"`
	About   string                `json:"about"`
	Size    int64                 `json:"size"`
	SHA256  string                `json:"sha256"`
	Modes   map[string]vectorMode `json:"modes"`
	Auto    string                `json:"auto"`
	Readers json.RawMessage       `json:"readers"`   // evidence
	Agreed  json.RawMessage       `json:"agreed_by"` // evidence
}

type vectorMode struct {
	Leading struct {
		Kind  string `json:"kind"`
		Bytes int64  `json:"bytes"`
	} `json:"leading"`
	Messages []vectorMessage `json:"messages"`
}

type vectorMessage struct {
	FromOffset int64    `json:"from_offset"`
	Start      int64    `json:"start"`
	End        int64    `json:"end"`
	Body       int64    `json:"body"`
	FromLine   string   `json:"from_line"`
	FromValid  bool     `json:"from_valid"`
	Sender     string   `json:"sender"`
	Date       *string  `json:"date"`
	Zone       string   `json:"zone"`
	RawLen     int64    `json:"raw_len"`
	RawSHA256  string   `json:"raw_sha256"`
	Len        int64    `json:"len"`
	SHA256     string   `json:"sha256"`
	Flags      []string `json:"flags"`
	Keywords   []string `json:"keywords"`
	UID        *int64   `json:"uid"`
	Pseudo     bool     `json:"pseudo"`
	Length     *int64   `json:"content_length"`
	LengthOK   *bool    `json:"content_length_ok"`
}

func vectorOptions(t testing.TB, variant, mode string) ReadOptions {
	v, err := ParseVariant(variant)
	require.NoError(t, err)
	o := ReadOptions{Variant: v, SkipJunk: true}
	switch mode {
	case "strict":
		o.Mode = Strict
	case "any":
		o.Mode = Any
	case "blank-strict":
		o.Mode, o.NeedBlank = Strict, true
	case "blank-any":
		o.Mode, o.NeedBlank = Any, true
	case "strict-cl":
		o.Mode, o.ContentLength = Strict, true
	default:
		t.Fatalf("mode %q is not known", mode)
	}
	return o
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// readVector reads a file as a vector expects it to be read, and describes what it found in the same form.
func readVector(data []byte, src io.Reader, o ReadOptions) (vectorMode, error) {
	var got vectorMode
	got.Messages = []vectorMessage{}
	raw := NewReader(bytes.NewReader(data))
	raw.ReadOptions = o
	raw.Raw = true
	rd := NewReader(src)
	rd.ReadOptions = o
	for m, err := range rd.Messages() {
		if err != nil {
			return got, err
		}
		q := vectorMessage{FromOffset: m.Offset, Start: m.Start, FromLine: latin1(m.Line()), Flags: []string{}, Keywords: []string{}}
		sep := m.Separator()
		q.FromValid, q.Sender, q.Zone = sep.Valid, latin1([]byte(sep.Sender)), latin1([]byte(sep.Zone))
		if !sep.Date.IsZero() {
			d := sep.Date.UTC().Format(time.RFC3339)
			q.Date = &d
		}
		header, err := m.Header()
		if err != nil {
			return got, err
		}
		q.Body = m.Start + int64(len(header))
		q.status(header, o, len(got.Messages) == 0)
		text, err := io.ReadAll(m)
		if err != nil {
			return got, err
		}
		q.End, _ = m.End()
		q.Body = min(q.Body, q.End)
		if q.LengthOK != nil {
			*q.LengthOK = m.LengthUsed()
		}
		q.Len, q.SHA256 = int64(len(text)), hexSum(text)
		rm, err := raw.Next()
		if err != nil {
			return got, err
		}
		rawText, err := io.ReadAll(rm)
		if err != nil {
			return got, err
		}
		if !bytes.Equal(rawText, data[q.Start:q.End]) {
			return got, fmt.Errorf("raw text of the message at %d is not what the file holds there", q.FromOffset)
		}
		q.RawLen, q.RawSHA256 = int64(len(rawText)), hexSum(rawText)
		got.Messages = append(got.Messages, q)
	}
	lead, n := rd.Leading()
	got.Leading.Kind, got.Leading.Bytes = lead.String(), n
	return got, nil
}

func (q *vectorMessage) status(header []byte, o ReadOptions, first bool) {
	s := ParseStatus(header)
	for name, set := range map[string]bool{"seen": s.Seen, "old": s.Old, "answered": s.Answered, "flagged": s.Flagged, "draft": s.Draft, "deleted": s.Deleted} {
		if set {
			q.Flags = append(q.Flags, name)
		}
	}
	sort.Strings(q.Flags)
	for _, k := range s.Keywords {
		q.Keywords = append(q.Keywords, latin1([]byte(k)))
	}
	if uid := int64(s.UID); uid != 0 {
		q.UID = &uid
	}
	q.Pseudo = s.Internal && first
	if n, ok := contentLength(header); ok {
		q.Length = &n
		if o.Variant.HasLength() || o.ContentLength {
			q.LengthOK = new(bool)
		}
	}
}

func latin1(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

func TestVectorsMbox(t *testing.T) {
	fsys := vectordir.Open(t, "mbox", "testdata/vectors/mbox.zip")
	passed, failed := 0, 0
	for _, list := range vectordir.Files(t, fsys, "expected.json") {
		b, err := fs.ReadFile(fsys, list)
		require.NoError(t, err)
		var files []vectorFile
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&files), list)
		for _, f := range files {
			ok := t.Run(f.Variant+"/"+f.File, func(t *testing.T) { testVector(t, fsys, path.Dir(list), f) })
			if ok {
				passed++
			} else {
				failed++
			}
		}
	}
	t.Logf("vectors mbox: %d passed, %d failed", passed, failed)
}

func testVector(t *testing.T, fsys fs.FS, dir string, f vectorFile) {
	data, err := fs.ReadFile(fsys, path.Join(dir, f.File))
	require.NoError(t, err)
	require.Equal(t, f.Size, int64(len(data)))
	require.Equal(t, f.SHA256, hexSum(data))
	require.NotEmpty(t, f.Modes)
	for mode, want := range f.Modes {
		o := vectorOptions(t, f.Variant, mode)
		for name, src := range map[string]io.Reader{
			"file":   bytes.NewReader(data),                                         // can be looked ahead in
			"stream": iotest.HalfReader(struct{ io.Reader }{bytes.NewReader(data)}), // cannot
			"bytes":  iotest.OneByteReader(bytes.NewReader(data)),                   // every boundary
		} {
			if name == "bytes" && (len(data) > 2<<10 || testing.Short()) {
				continue
			}
			got, err := readVector(data, src, o)
			require.NoError(t, err, "%s %s", mode, name)
			require.Equal(t, want, got, "%s %s: %s", mode, name, f.About)
		}
		o.SkipJunk = false
		_, err := readVector(data, bytes.NewReader(data), o)
		if want.Leading.Kind == "junk" {
			require.ErrorIs(t, err, ErrNotMbox)
		} else {
			require.NoError(t, err)
		}
	}
	rd := NewReader(bytes.NewReader(data))
	rd.SkipJunk = true
	_, _ = rd.Next()
	if rd.mode != Auto {
		require.Equal(t, f.Auto, rd.SeparatorMode().String())
	}
}
