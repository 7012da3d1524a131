package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mtakit/mtakit"
	"github.com/stretchr/testify/require"
)

// FuzzReadReply: whatever a server sends, a reply is read or refused, never more than the limits allow, and what goes
// into logs is one printable line.
func FuzzReadReply(f *testing.F) {
	for _, s := range []string{
		"250 ok\r\n", "250-a\r\n250 b\r\n", "250\r\n", "550 5.1.1 no\n", "250-a\r\n550 b\r\n", "25", "abc\r\n", "\x00\r\n", "599 \xff\r\n",
		"451 4.7.1\r\n", "451 4.7.1 \r\n", "250 2.0.0 ok\r\n354 go\r\n", strings.Repeat("250-x\r\n", 600), "250 " + strings.Repeat("y", 5000),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(in)), maxReplyLine)
		rep, err := readReply(r, 0, func([]byte) {})
		if err != nil {
			var pe *protocolError
			if !errors.As(err, &pe) {
				require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
			}
			return
		}
		require.True(t, 200 <= rep.code && rep.code < 600)
		require.LessOrEqual(t, len(rep.line), 3*maxFirstLine)
		for _, c := range []byte(rep.line) {
			require.True(t, c >= ' ' && c != 0x7f, "%q", rep.line)
		}
		for _, st := range []stage{stageGreeting, stageMail, stageRcpt, stageData, stageDot} {
			var e *mtakit.Error
			require.ErrorAs(t, replyResult("relay", rep, st).Err, &e)
			require.True(t, e.Status.Valid())
			require.Equal(t, e.Code/100, e.Status.Class())
			require.Equal(t, e.Temporary(), rep.code/100 != 5)
		}
		rep.text(true)
	})
}

// FuzzBody: a receiver that follows RFC 5321 gets the message back, whatever it holds and however it is cut up; no bare
// CR or LF is sent; and the only line with a single dot is the last one.
func FuzzBody(f *testing.F) {
	for _, s := range []string{"", "a", ".", "\n.\n", "\r\n.\r\n", "a\r", "\r\r\n", "..\n.\r.\n", "x\n.", "\x00\n"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		cut = max(1, min(cut&0xff, len(in)))
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		require.NoError(t, writeBody(w, io.MultiReader(bytes.NewReader(in[:min(cut, len(in))]), iotest.HalfReader(bytes.NewReader(in[min(cut, len(in)):])))))
		require.NoError(t, w.Flush())

		lines := strings.SplitAfter(out.String(), "\r\n")
		require.Equal(t, "", lines[len(lines)-1])
		require.Equal(t, ".\r\n", lines[len(lines)-2])
		var got strings.Builder
		for _, l := range lines[:len(lines)-2] {
			require.NotEqual(t, ".\r\n", l)
			require.NotContains(t, strings.TrimSuffix(l, "\r\n"), "\r")
			require.NotContains(t, strings.TrimSuffix(l, "\r\n"), "\n")
			got.WriteString(strings.TrimPrefix(l, "."))
		}
		want := strings.ReplaceAll(string(in), "\r\n", "\n")
		want = strings.ReplaceAll(want, "\r", " ")
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		require.Equal(t, strings.ReplaceAll(want, "\n", "\r\n"), got.String())
	})
}
