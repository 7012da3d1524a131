package queue

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestListParts: a directory of several parts is listed whole, and a caller that stops early leaves nobody behind.
func TestListParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := Open(dir, nil)
	require.NoError(t, err)
	const n = 1000
	want := map[ID]bool{}
	for i := range n {
		id := ID(fmt.Sprintf("6AM85DpW%06d", i))
		text := fmt.Sprintf("V8\nT%d\nK0\nN0\nP%d\nS<ann@example.org>\nRPFD:<bob@example.net>\nH??Subject: x\n.\n", time.Now().Unix(), i)
		require.NoError(t, os.WriteFile(dir+"/qf"+string(id), []byte(text), 0o600))
		require.NoError(t, os.WriteFile(dir+"/df"+string(id), []byte("body\n"), 0o600))
		want[id] = true
	}
	got := map[ID]bool{}
	for u, err := range d.List(t.Context(), Filter{}) {
		require.NoError(t, err)
		assert.False(t, got[u.ID], "%s listed twice", u.ID)
		got[u.ID] = true
	}
	assert.Equal(t, want, got)

	seen := 0
	for range d.List(t.Context(), Filter{}) {
		if seen++; seen == 100 {
			break
		}
	}
	assert.Equal(t, 100, seen)
	seen = 0
	for range d.List(t.Context(), Filter{Limit: 70}) {
		seen++
	}
	assert.Equal(t, 70, seen)
	require.NoError(t, os.RemoveAll(dir))
	for _, err := range d.List(t.Context(), Filter{}) {
		assert.ErrorIs(t, err, ErrUnavailable)
	}
}
