package bdb_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/tabletest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	t.Run("hash", func(t *testing.T) { tabletest.TestEngine(t, bdb.Hash()) })
	t.Run("btree", func(t *testing.T) { tabletest.TestEngine(t, bdb.Btree()) })
}

// TestNUL: which forms of a key a file answers to.
func TestNUL(t *testing.T) {
	t.Parallel()
	file := build(t, "hash", table.BuildOptions{}, []table.Record{
		{Key: "plain", Value: "p"}, {Key: "nul\x00", Value: "n\x00"}, {Key: "twice\x00\x00", Value: "t\x00\x00"},
	})
	path := filepath.Join(t.TempDir(), "mixed.db")
	require.NoError(t, os.WriteFile(path, file, 0o600))
	for _, tt := range []struct {
		nul  table.NUL
		key  string
		want string
	}{
		{table.NULAuto, "plain", "p"}, {table.NULAuto, "nul", "n"}, {table.NULAuto, "twice", "-"}, {table.NULAuto, "nul\x00", "-"}, {table.NULAuto, "plain", "p"},
		{table.NULAlways, "plain", "-"}, {table.NULAlways, "nul", "n"},
		{table.NULNever, "plain", "p"}, {table.NULNever, "nul", "-"}, {table.NULNever, "nul\x00", "n\x00"},
		{table.NULAlways, "twice\x00", "t\x00"},
	} {
		f, err := bdb.Open(t.Context(), path, table.OpenOptions{NUL: tt.nul})
		require.NoError(t, err)
		got, ok, err := f.Lookup(t.Context(), tt.key)
		require.NoError(t, err)
		if !ok {
			got = "-"
		}
		assert.Equal(t, tt.want, got, "%v %q", tt.nul, tt.key)
		require.NoError(t, f.Close())
	}
}

// TestDamageIsLocal: a damaged bucket is an error for its keys, and no obstacle for others.
func TestDamageIsLocal(t *testing.T) {
	t.Parallel()
	var recs []table.Record
	for _, s := range samples() {
		if s.name == "aliases-5000" {
			recs = s.recs
		}
	}
	file := build(t, "hash", table.BuildOptions{}, recs)
	r, err := bdb.NewReader(bytes.NewReader(file), int64(len(file)), "map.db")
	require.NoError(t, err)
	file[4096+25] = 99 // the type of page 1
	bad, good := 0, 0
	for _, rec := range recs {
		v, ok, err := r.Lookup([]byte(rec.Key))
		var fe *table.FormatError
		if errors.As(err, &fe) {
			require.ErrorIs(t, err, table.ErrCorrupt)
			require.False(t, ok)
			require.True(t, mtakit.Temporary(err))
			assert.Equal(t, "map.db: page 1, offset 4121: corrupt: page type 99 in a hash bucket", err.Error())
			bad++
			continue
		}
		if err != nil || !ok || string(v) != rec.Value {
			t.Fatalf("%q: %q, %v, %v, want %q", rec.Key, v, ok, err, rec.Value)
		}
		good++
	}
	assert.Positive(t, bad)
	assert.Greater(t, good, bad)
}

// TestVerifyOrder: keys in the ordinary order pass db5.3_verify and cannot be found by libdb; Verify tells.
func TestVerifyOrder(t *testing.T) {
	t.Parallel()
	file := build(t, "hash", table.BuildOptions{}, []table.Record{{Key: "ab", Value: "1"}, {Key: "a", Value: "2"}, {Key: "c", Value: "3"}, {Key: "d", Value: "4"}})
	read := func() (int64, error) {
		r, err := bdb.NewReader(bytes.NewReader(file), int64(len(file)), "map.db")
		require.NoError(t, err)
		return r.Verify()
	}
	n, err := read()
	require.NoError(t, err)
	require.EqualValues(t, 4, n)
	at := bytes.LastIndex(file, []byte{1, 'c'})
	require.Positive(t, at)
	for i := range file {
		if i > 4096 && file[i] == 1 && i+1 < len(file) && (file[i+1] == 'd' || file[i+1] == 'c') && len(file)-i < 4096*2 {
			file[i+1] ^= 'c' ^ 'd' // swap two keys that may share a page
		}
	}
	_, err = read()
	require.ErrorIs(t, err, table.ErrCorrupt)
}

func TestBuilderOptions(t *testing.T) {
	t.Parallel()
	for _, ps := range []int{1, 511, 768, 131072} {
		_, err := bdb.NewHashBuilder(table.BuildOptions{PageSize: ps})
		require.Error(t, err, ps)
	}
}
