package qf

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

// full has every kind of line, as sendmail 8.17 writes them.
const full = `V8
T1795334713
K1795334720
N2
P-119942
dslow1
I254/0/10027352
B8BITMIME
qsuspicious sender
MDeferred: Connection refused by mx.example.net.
Fw8bdns
$_client.example.com [192.0.2.55]
$rESMTP
$s
${daemon_flags}
${if_addr}203.0.113.10
S<jane@client.example.com>
ZQQ314159+2Bfoo
A"Odd+20Sender"@client.example.com
!` + "\x02" + ` 7200
MDeferred: 451 4.7.1 Greylisted
Cdave:2004:2000:<dave@example.org>
Qrfc822;orig+2Bx@y.example
rRFC822; dave@example.org
RNSFDA:defer3@rcpt4.example.net
C:ann
RPFD:<x@example.net>
C
RPN:|"/bin/prog a:b"
H?P?Return-Path: <` + "\x81" + `g>
H??Received: from a
	by b; now
H?D?Date: x
H?${auth_type}?X-Auth: y
H??X-Empty:
H??X-Eight: caf` + "\xc3\xa9 \xff" + `
.
`

func TestParseFull(t *testing.T) {
	f, err := Parse(strings.NewReader(full), "qfX")
	require.NoError(t, err)
	assert.Equal(t, full, string(f.Bytes()), "unchanged in, unchanged out")
	assert.Equal(t, full, string(f.Append(nil)), "this is the canonical order")
	assert.Equal(t, int64(-119942), f.Priority)
	assert.Equal(t, &DeliverBy{0x02, 7200}, f.DeliverBy)
	assert.Equal(t, []Macro{{"_", "client.example.com [192.0.2.55]"}, {"r", "ESMTP"}, {"s", ""}, {"daemon_flags", ""}, {"if_addr", "203.0.113.10"}}, f.Macros)
	assert.Equal(t, []Recipient{
		{"Deferred: 451 4.7.1 Greylisted", &Control{"dave", 2004, 2000, "<dave@example.org>"}, "rfc822;orig+2Bx@y.example", "RFC822; dave@example.org", "NSFDA", "defer3@rcpt4.example.net"},
		{Control: &Control{Addr: "ann"}, Flags: "PFD", Addr: "<x@example.net>"},
		{Flags: "PN", Addr: `|"/bin/prog a:b"`},
	}, f.Rcpts)
	assert.Equal(t, Header{Cond: "P", Name: "Return-Path", Value: " <\x81g>"}, f.Headers[0])
	assert.Equal(t, " from a\n\tby b; now", f.Headers[1].Value)
}

func TestParseOldVersions(t *testing.T) {
	f, err := Decode("T5\nP30000\nSme@example.com\nRfive@example.net\nHSubject: zero\n.\n", "qfX")
	require.NoError(t, err)
	assert.Equal(t, []Recipient{{Flags: "PFD", Addr: "five@example.net"}}, f.Rcpts)
	assert.Equal(t, []Header{{Bare: true, Name: "Subject", Value: " zero"}}, f.Headers)
	f, err = Decode("V1\r\nDdfX\r\nEpostmaster\r\nCann:ann@example.org\r\nSme\r\nRP:four@example.net\r\n.\r\n", "qfX")
	require.NoError(t, err)
	assert.Equal(t, []Recipient{{Control: &Control{User: "ann", Addr: "ann@example.org"}, Flags: "P", Addr: "four@example.net"}}, f.Rcpts)
	assert.Equal(t, []Record{{'D', "dfX", 2}, {'E', "postmaster", 3}}, f.Extra)
}

func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		line int
		want error
	}{
		"unknown letter":       {"V8\nS<>\nXfoo\n.\n", 3, ErrUnknownLine},
		"blank line":           {"V8\n\nS<>\n.\n", 2, ErrBlankLine},
		"From line":            {"V8\nFrom a b\nS<>\n.\n", 2, ErrFromLine},
		"bad body type":        {"V8\nBFUNNY\nS<>\n.\n", 2, ErrBadValue},
		"bad AUTH":             {"V8\nS<>\nA+zz bad\n.\n", 3, ErrBadValue},
		"bad macro":            {"V8\n${open\nS<>\n.\n", 2, ErrBadValue},
		"after the end":        {"V8\nS<>\n.\nRP:x@y\n", 4, ErrAfterEnd},
		"version":              {"V9\nS<>\n.\n", 1, ErrVersion},
		"no end":               {"V8\nS<>\n", 2, ErrNoEnd},
		"cut in a line":        {"V8\nS<a@exam", 2, ErrNoEnd},
		"empty":                {"", 0, ErrEmpty},
		"folded lines counted": {"V8\nS<>\nH??A: b\n c\n\td\nXfoo\n.\n", 6, ErrUnknownLine},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Decode(test.text, "qfX")
			require.ErrorIs(t, err, test.want)
			var se *mtakit.SyntaxError
			require.ErrorAs(t, err, &se)
			assert.Equal(t, mtakit.Position{File: "qfX", Line: test.line}, se.Pos)
			assert.Equal(t, test.text, string(f.Bytes()), "damaged files are not touched")
		})
	}
	f, err := Decode("V8\nXfoo\nBx\nSme@example.com\nRP:a@b\n.\n", "qfX")
	assert.ErrorIs(t, err, ErrUnknownLine)
	assert.ErrorIs(t, err, ErrBadValue)
	assert.Equal(t, "me@example.com", f.Sender, "good lines are kept")
	assert.Len(t, f.Rcpts, 1)
}

func TestChanged(t *testing.T) {
	f, err := Decode(full, "qfX")
	require.NoError(t, err)
	f.Attempts = 3
	f.Rcpts[0].Message = "two\nlines"
	want := strings.Replace(strings.Replace(full, "N2\n", "N3\n", 1), "MDeferred: 451 4.7.1 Greylisted", "Mtwo lines", 1)
	assert.Equal(t, want, string(f.Bytes()))
	f.Headers[1].Value = " a\nSubject: injected"
	assert.NotContains(t, string(f.Bytes()), "\nSubject")
}

func TestMacroOrder(t *testing.T) {
	for name, want := range map[string]int{"_": 93, "r": 112, "s": 113, "client_addr": 760, "load_avg": 902, "daemon_flags": 1149, "auth_type": 1186, "if_addr": 1544} {
		assert.Equal(t, want, MacroOrder(name), name)
	}
}

func TestXtext(t *testing.T) {
	for _, s := range []string{"", "plain", "a+b=c d", "caf\xc3\xa9", "\x00\x7f"} {
		e := EncodeXtext(s)
		assert.True(t, ValidXtext(e), "%q", e)
		assert.Equal(t, s, DecodeXtext(e))
	}
	for _, s := range []string{"a b", "a=b", "+", "+4", "+zz", "caf\xc3\xa9"} {
		assert.False(t, ValidXtext(s), "%q", s)
	}
	assert.Equal(t, "+zz", DecodeXtext("+zz"), "what is no xtext stays")
}

func FuzzDecode(f *testing.F) {
	f.Add(full)
	f.Add("V8\r\nT1\r\nS<>\r\nRPFD:a@b\r\nH??A: b\r\n c\r\n.\r\n")
	f.Add("T5\nRfive\nHSubject: x\n.\n")
	f.Add("V8\n\n $x\nC\nCa:b:c:d\n.\nx")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Decode(text, "qfX")
		if got := string(a.Bytes()); got != text && text != "" {
			t.Fatalf("changed %q to %q", text, got)
		}
		if err != nil {
			var se *mtakit.SyntaxError
			if !errors.As(err, &se) {
				t.Fatalf("error without a position: %v", err)
			}
			return
		}
		canon := string(a.Append(nil))
		b, err := Decode(canon, "qfX")
		if err != nil {
			t.Fatalf("%q becomes %q, which fails: %v", text, canon, err)
		}
		if again := string(b.Append(nil)); again != canon {
			t.Fatalf("not stable: %q, then %q", canon, again)
		}
		if len(a.Rcpts) != len(b.Rcpts) || len(a.Headers) != len(b.Headers) || a.Sender != b.Sender && !strings.Contains(a.Sender, "\n") {
			t.Fatalf("%q: %+v becomes %+v", text, a, b)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(full)))
	for b.Loop() {
		if _, err := Decode(full, "qfX"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	f, _ := Decode(full, "qfX")
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(full)))
	for b.Loop() {
		buf = f.Append(buf[:0])
	}
}
