package queue

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHeaderSplitter(t *testing.T) {
	for name, test := range map[string]struct{ in, header, body string }{
		"usual":               {"A: b\nC: d\n e\n\nbody\n", "A: b\nC: d\n e\n", "body\n"},
		"empty":               {"", "", ""},
		"no header":           {"\nbody\n", "", "body\n"},
		"no body":             {"A: b\n", "A: b\n", ""},
		"no line end":         {"A: b", "A: b\n", ""},
		"text without header": {"hello world\nA: b\n", "", "hello world\nA: b\n"},
		"not a field":         {"A: b\nhello\nC: d\n", "A: b\n", "hello\nC: d\n"},
		"continuation first":  {" x\nA: b\n", "", " x\nA: b\n"},
		"blank before colon":  {"A : b\n\nx", "A : b\n", "x"},
		"body without end":    {"A: b\n\nx", "A: b\n", "x"},
		"half a line":         {"A: b\nhello", "A: b\n", "hello"},
	} {
		for chunk := 1; chunk <= len(test.in)+1; chunk++ { // however it is cut, the result is the same
			var body bytes.Buffer
			s := &HeaderSplitter{Body: &body}
			for in := []byte(test.in); len(in) > 0; {
				n, err := s.Write(in[:min(chunk, len(in))])
				require.NoError(t, err, name)
				in = in[n:]
			}
			require.NoError(t, s.Close(), name)
			assert.Equal(t, test.header, string(s.Header()), "%s in pieces of %d", name, chunk)
			assert.Equal(t, test.body, body.String(), "%s in pieces of %d", name, chunk)
		}
	}
	s := &HeaderSplitter{Body: new(bytes.Buffer), Max: 10}
	_, err := s.Write([]byte("A: 0123456789\n"))
	assert.ErrorIs(t, err, ErrHeaderTooLong)
}

func TestIDs(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 21, 18, 0, time.UTC).Unix()
	assert.Equal(t, ID("6AM8LI8M004138"), formatID(at, 8*60+22, 4138))
	assert.Equal(t, ID("i23GPXvm007224"), formatID(time.Date(2004, 3, 3, 16, 25, 33, 0, time.UTC).Unix(), 57*60+48, 7224))
	assert.Equal(t, ID("6AM8LI8M1234567"), formatID(at, 8*60+22, 1234567))

	var s idSource
	seen := make(map[ID]bool)
	now := at
	taken := 0
	for range 6 * idsPerBase { // in one second: this one, and five that are borrowed
		id, ok := s.take(now)
		require.True(t, ok)
		require.False(t, seen[id], "%s twice", id)
		seen[id] = true
		taken++
	}
	_, ok := s.take(now)
	assert.False(t, ok, "then it has to wait")
	now += 100 // a hundred seconds went by unused, but for the borrowed ones
	for range 90 * idsPerBase {
		id, ok := s.take(now)
		require.True(t, ok)
		require.False(t, seen[id], "%s twice", id)
		seen[id] = true
	}
	for _, bad := range []ID{"", "../x", "a b", "ABCDEFGHIJKLMNOPQRS", "a\x00"} {
		assert.False(t, ValidID(bad), "%q", bad)
	}
}
