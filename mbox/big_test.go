package mbox

import (
	"encoding/json"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The file that MTAKIT_MBOX names, when a side file NAME.json says what is in it: number and length of the messages, and
// position and hash of some.
func TestBigFile(t *testing.T) {
	name := os.Getenv("MTAKIT_MBOX")
	b, err := os.ReadFile(name + ".json")
	if err != nil {
		t.Skip("MTAKIT_MBOX names no mbox with a side file")
	}
	var info struct {
		Variant    string `json:"variant"`
		Messages   int    `json:"messages"`
		Unquoted   int64  `json:"unquoted_bytes"`
		SampleList []struct {
			Index      int    `json:"index"`
			FromOffset int64  `json:"from_offset"`
			Start      int64  `json:"start"`
			End        int64  `json:"end"`
			SHA256     string `json:"sha256"`
		} `json:"samples"`
	}
	require.NoError(t, json.Unmarshal(b, &info))
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	rd := NewReader(f)
	rd.Variant, err = ParseVariant(info.Variant)
	require.NoError(t, err)
	n, total, next := 0, int64(0), 0
	for m, err := range rd.Messages() {
		require.NoError(t, err)
		if next < len(info.SampleList) && info.SampleList[next].Index == n {
			s := info.SampleList[next]
			next++
			require.Equal(t, [2]int64{s.FromOffset, s.Start}, [2]int64{m.Offset, m.Start})
			b, err := io.ReadAll(m)
			require.NoError(t, err)
			require.Equal(t, s.SHA256, hexSum(b))
			end, _ := m.End()
			require.Equal(t, s.End, end)
			total += int64(len(b))
		} else {
			k, err := m.WriteTo(io.Discard)
			require.NoError(t, err)
			total += k
		}
		n++
	}
	require.Equal(t, info.Messages, n)
	require.Equal(t, info.Unquoted, total)
	require.Equal(t, len(info.SampleList), next)
	require.LessOrEqual(t, len(rd.buf), 1<<20, "memory stays flat")
}
