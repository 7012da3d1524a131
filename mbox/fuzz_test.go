package mbox

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// addVectors seeds a fuzz target with the small files of the vectors.
func addVectors(f *testing.F) {
	z, err := zip.OpenReader("testdata/vectors/mbox.zip")
	require.NoError(f, err)
	defer z.Close()
	for _, e := range z.File {
		if e.UncompressedSize64 > 700 || !strings.HasSuffix(e.Name, ".mbox") {
			continue
		}
		r, err := e.Open()
		require.NoError(f, err)
		b, err := io.ReadAll(r)
		require.NoError(f, err)
		f.Add(b, uint8(len(b)))
	}
}

// FuzzReader: the same messages whatever the pieces in which the input comes; extents within the file, in order, and
// holding what a raw reader gives.
func FuzzReader(f *testing.F) {
	addVectors(f)
	f.Fuzz(func(t *testing.T, data []byte, o uint8) {
		opts := ReadOptions{Variant: Variant(o & 3), Mode: Mode(o >> 2 & 3 % 3), NeedBlank: o&16 != 0, ContentLength: o&32 != 0, SkipJunk: o&64 != 0}
		if opts.Mode > Any {
			opts.Mode = Any
		}
		whole, err := readVector(data, bytes.NewReader(data), opts)
		pieces, err2 := readVector(data, iotest.OneByteReader(bytes.NewReader(data)), opts)
		require.Equal(t, err, err2)
		require.Equal(t, whole, pieces)
		last := int64(0)
		for _, m := range whole.Messages {
			require.True(t, last <= m.FromOffset && m.FromOffset < m.Start && m.Start <= m.End && m.End <= int64(len(data)))
			last = m.End
		}
		x, err3 := BuildIndex(bytes.NewReader(data), int64(len(data)), &opts)
		require.Equal(t, err, err3)
		require.Len(t, x.Messages, len(whole.Messages))
		for i, m := range whole.Messages {
			require.Equal(t, Extent{m.FromOffset, m.Start, m.End}, x.Messages[i])
		}
	})
}

// FuzzRoundTrip: what is written as MboxRD or MboxCL2 comes back unchanged, but for the completed last line and, in
// MboxCL2, the header field.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range corpus() {
		f.Add([]byte(s), []byte("From x\n>From y"), uint8(7))
	}
	f.Fuzz(func(t *testing.T, a, b []byte, size uint8) {
		for _, v := range []Variant{MboxRD, MboxCL2} {
			var out bytes.Buffer
			w := NewWriter(&out)
			w.Variant, w.KeepCR = v, true
			for _, s := range [][]byte{a, b} {
				m, err := w.CreateMessage("ann@example.org", day)
				require.NoError(t, err)
				for rest := s; len(rest) > 0; {
					n := min(int(size)+1, len(rest))
					_, err := m.Write(rest[:n])
					require.NoError(t, err)
					rest = rest[n:]
				}
			}
			require.NoError(t, w.Close())
			rd := NewReader(bytes.NewReader(out.Bytes()))
			rd.Variant = v
			for _, s := range [][]byte{a, b} {
				m, err := rd.Next()
				require.NoError(t, err)
				got, err := io.ReadAll(m)
				require.NoError(t, err)
				want := append([]byte(nil), s...)
				if len(want) > 0 && want[len(want)-1] != '\n' {
					want = append(want, '\n')
				}
				if v == MboxRD {
					require.Equal(t, string(want), string(got))
					continue
				}
				require.True(t, m.LengthUsed() || !bytes.Contains(got, []byte("\n\n")), "%q", got)
				require.True(t, bytes.HasSuffix(got, body(want)), "%q does not end in %q", got, body(want))
			}
			_, err := rd.Next()
			require.Equal(t, io.EOF, err)
		}
	})
}

// body is what stands behind the first empty line.
func body(s []byte) []byte {
	for i := 0; i < len(s); {
		n := bytes.IndexByte(s[i:], '\n') + 1
		if n == 0 {
			return nil
		}
		if l := string(s[i : i+n]); l == "\n" || l == "\r\n" {
			return s[i+n:]
		}
		i += n
	}
	return nil
}

// FuzzParseSeparator: never panics, and a line made from its answer is read the same.
func FuzzParseSeparator(f *testing.F) {
	for _, s := range []string{"From a@b Thu Jan  1 00:00:01 2015", "From  Thu Jan 1 0:00 MET DST 2015", `From "a b"@c Thu, 01 Jan 2015 00:00:01 +0100`, "From x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.IndexByte(line, '\n') >= 0 {
			return
		}
		sep, ok := ParseSeparator(line)
		if !ok || !sep.Valid || sep.Date.IsZero() || sep.Date.Year() > 9999 || sep.Date.Year() < 0 {
			return
		}
		again, ok := ParseSeparator(AppendSeparator(nil, "x", sep.Date.UTC()))
		require.True(t, ok && again.Valid)
		require.True(t, sep.Date.Equal(again.Date), "%q: %v %v", line, sep.Date, again.Date)
	})
}
