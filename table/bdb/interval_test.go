package bdb_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
)

// TestCheckInterval: what a map that rarely examines its file may miss, and what not.
func TestCheckInterval(t *testing.T) {
	t.Parallel()
	install := func(t *testing.T, path, value string, more ...table.Record) {
		b, err := bdb.NewHashBuilder(table.BuildOptions{})
		require.NoError(t, err)
		for _, r := range append(more, table.Record{Key: "k", Value: value}) {
			require.NoError(t, b.Put([]byte(r.Key), []byte(r.Value)))
		}
		require.NoError(t, bdb.Hash().Install(t.Context(), path, b, nil))
	}
	open := func(t *testing.T, every time.Duration) (m *bdb.File, path string) {
		path = filepath.Join(t.TempDir(), "m.db")
		install(t, path, "old")
		time.Sleep(50 * time.Millisecond) // a file that changed just now is examined each time
		m, err := bdb.Open(t.Context(), path, table.OpenOptions{CheckInterval: every})
		require.NoError(t, err)
		t.Cleanup(func() { m.Close() })
		v, ok, err := m.Lookup(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "old", v)
		return m, path
	}
	t.Run("zero notices at once", func(t *testing.T) {
		t.Parallel()
		m, path := open(t, 0)
		install(t, path, "new")
		v, _, err := m.Lookup(t.Context(), "k")
		require.NoError(t, err)
		assert.Equal(t, "new", v)
	})
	t.Run("a hit is examined later", func(t *testing.T) {
		t.Parallel()
		m, path := open(t, time.Hour)
		install(t, path, "new")
		v, ok, err := m.Lookup(t.Context(), "k")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, "old", v)
	})
	t.Run("within the interval", func(t *testing.T) {
		t.Parallel()
		m, path := open(t, 10*time.Millisecond)
		install(t, path, "new")
		time.Sleep(11 * time.Millisecond)
		v, _, err := m.Lookup(t.Context(), "k")
		require.NoError(t, err)
		assert.Equal(t, "new", v)
	})
	t.Run("absent is always confirmed", func(t *testing.T) {
		t.Parallel()
		m, path := open(t, time.Hour)
		install(t, path, "new", table.Record{Key: "added", Value: "x"})
		v, ok, err := m.Lookup(t.Context(), "added")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, "x", v)
		v, _, err = m.Lookup(t.Context(), "k")
		require.NoError(t, err)
		assert.Equal(t, "new", v)
	})
	t.Run("cut short", func(t *testing.T) {
		t.Parallel()
		m, path := open(t, time.Hour)
		require.NoError(t, os.Truncate(path, 0))
		_, ok, err := m.Lookup(t.Context(), "k")
		require.ErrorIs(t, err, table.ErrEmptyFile)
		assert.False(t, ok)
	})
}
