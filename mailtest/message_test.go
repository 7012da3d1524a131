package mailtest_test

import (
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"

	"github.com/mtakit/mtakit/mailtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMail(t *testing.T) {
	t.Parallel()
	m := mailtest.Mail{From: "Jürgen <ann@example.org>", To: "bob@example.com", Subject: "Größe", Text: "Grüße", HTML: "<p>Grüße</p>",
		Parts: []mailtest.Part{{Type: "image/png", Name: "a b.png", Data: []byte{0, 1, 2}}}, Header: []string{"X-A: b"}}
	assert.Equal(t, m.String(), m.String())
	msg, err := mail.ReadMessage(strings.NewReader(m.String()))
	require.NoError(t, err)
	from, err := msg.Header.AddressList("From")
	require.NoError(t, err)
	assert.Equal(t, "Jürgen", from[0].Name)
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	require.NoError(t, err)
	assert.Equal(t, "Größe", subject)
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	require.NoError(t, err)
	assert.Equal(t, "multipart/mixed", kind)
	parts := multipart.NewReader(msg.Body, params["boundary"])
	p, err := parts.NextPart()
	require.NoError(t, err)
	assert.Contains(t, p.Header.Get("Content-Type"), "multipart/alternative")
	p, err = parts.NextPart()
	require.NoError(t, err)
	assert.Equal(t, "a b.png", p.FileName())

	simple := mailtest.Mail{From: "ann@example.org", Subject: "hi", Text: "Hello", ID: "1@x"}
	mailtest.Equal(t, "From: ann@example.org\nSubject: hi\nDate: Fri, 02 Jan 2026 03:04:05 +0000\nMessage-ID: <1@x>\n\nHello\n", simple.String())
}

// What each kind of message promises.
func TestKinds(t *testing.T) {
	t.Parallel()
	seen := map[string]mailtest.Kind{}
	for i, kind := range mailtest.Kinds() {
		for seed := range uint64(20) {
			s := mailtest.Generate(kind, seed)
			require.Equal(t, s, mailtest.Generate(kind, seed))
			require.Equal(t, kind, s.Kind)
			require.NotEmpty(t, s.To)
			require.NotContains(t, s.Text, "\r")
			ascii := strings.IndexFunc(s.Text, func(r rune) bool { return r > 127 }) < 0
			switch kind {
			case mailtest.Empty:
				require.Empty(t, s.Text)
			case mailtest.EightBit, mailtest.EAI, mailtest.BadHeader:
				require.False(t, ascii)
			case mailtest.NoNewline:
				require.False(t, strings.HasSuffix(s.Text, "\n"))
			case mailtest.NoHeader:
				require.True(t, strings.HasPrefix(s.Text, "\n"))
			case mailtest.Dots:
				require.Contains(t, s.Text, "\n.")
			case mailtest.HugeLine:
				require.Contains(t, s.Text, strings.Repeat(".", 1000))
			case mailtest.FromLines:
				require.Contains(t, s.Text, "From")
			case mailtest.DSN:
				require.Empty(t, s.From)
				msg, err := mail.ReadMessage(strings.NewReader(s.Text))
				require.NoError(t, err)
				kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
				require.NoError(t, err)
				require.Equal(t, "multipart/report", kind)
				require.Equal(t, "delivery-status", params["report-type"])
			case mailtest.Nested, mailtest.Alternative, mailtest.Attachment, mailtest.Forwarded:
				msg, err := mail.ReadMessage(strings.NewReader(s.Text))
				require.NoError(t, err)
				_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
				require.NoError(t, err)
				r := multipart.NewReader(msg.Body, params["boundary"])
				for n := range 2 {
					_, err := r.NextPart()
					require.NoError(t, err, "part %d", n)
				}
			}
			if kind != mailtest.Empty && kind != mailtest.Tiny {
				require.Empty(t, seen[s.Text], "the same text twice")
				seen[s.Text] = kind
			}
		}
		assert.Equal(t, kind, mailtest.Kinds()[i])
	}
}

// Every damage changes every variant of mbox, and never what it was given.
func TestMboxDamages(t *testing.T) {
	t.Parallel()
	for _, v := range mailtest.MboxVariants() {
		data, samples := mailtest.SampleMbox(v, 3, 46)
		require.Len(t, samples, 46)
		before := string(data)
		for _, d := range mailtest.MboxDamages() {
			after := d.Apply(data)
			require.Equal(t, before, string(data), d.Name)
			needsLength := strings.Contains(d.Name, "length")
			hasLength := v == mailtest.MboxCL || v == mailtest.MboxCL2
			needsQuote := d.Name == "unquoted-from"
			if needsLength && !hasLength || needsQuote && v == mailtest.MboxCL2 {
				continue
			}
			assert.NotEqual(t, before, string(after), "%s %s", v, d.Name)
		}
	}
	mailtest.Equal(t, "From MAILER-DAEMON Fri Jan  2 03:04:05 2026\nSubject: a\n\n>From b\n>From c\n\n",
		string(mailtest.Mbox(mailtest.MboxO, mailtest.MboxMessage{Text: "Subject: a\n\nFrom b\n>From c"})))
	mailtest.Equal(t, "From a@b Fri Jan  2 03:04:05 2026\nSubject: a\n\n>From b\n>>From c\n\n",
		string(mailtest.Mbox(mailtest.MboxRD, mailtest.MboxMessage{Sender: "a@b", Text: "Subject: a\n\nFrom b\n>From c\n"})))
	mailtest.Equal(t, "From a@b Fri Jan  2 03:04:05 2026\nSubject: a\nContent-Length: 15\n\nFrom b\n>From c\n\n",
		string(mailtest.Mbox(mailtest.MboxCL2, mailtest.MboxMessage{Sender: "a@b", Text: "Subject: a\n\nFrom b\n>From c\n"})))
}
