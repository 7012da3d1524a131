package bdb_test

import (
	"archive/zip"
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
)

// fixtures returns the files of the vectors with the given suffix.
func fixtures(t testing.TB, suffix string) (files [][]byte) {
	z, err := zip.OpenReader("../testdata/vectors/table.zip")
	require.NoError(t, err)
	defer z.Close()
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, suffix) {
			continue
		}
		in, err := f.Open()
		require.NoError(t, err)
		b, err := io.ReadAll(in)
		require.NoError(t, err)
		files = append(files, b)
	}
	require.NotEmpty(t, files)
	return files
}

// FuzzReader lists, verifies and asks a file of any bytes. It must end, must not panic, and must not allocate more than
// the file's size in one piece: the bound checked is some copies of the largest record, which cannot exceed the file.
func FuzzReader(f *testing.F) {
	for _, file := range fixtures(f, ".db") {
		if len(file) <= 64<<10 {
			f.Add(file, "alpha")
		}
	}
	for _, kind := range []string{"hash", "btree"} {
		f.Add(build(f, kind, table.BuildOptions{PageSize: 512, Duplicates: table.KeepAll}, []table.Record{
			{Key: "a", Value: "1"}, {Key: "a", Value: strings.Repeat("x", 600)}, {Key: strings.Repeat("k", 700), Value: "2"},
		}), "a")
	}
	f.Fuzz(func(t *testing.T, file []byte, key string) {
		r, err := bdb.NewReader(bytes.NewReader(file), int64(len(file)), "fuzz")
		if err != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		value, ok, err := r.Lookup([]byte(key))
		runtime.ReadMemStats(&after)
		// Each page on the way is read once; overflow chains are copied once and grow by doubling.
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10+64*uint64(len(file)) {
			t.Errorf("a look-up in %d bytes allocated %d", len(file), n)
		}
		// What is remembered of a page changes no answer.
		again, ok2, err2 := r.Lookup([]byte(key))
		if ok != ok2 || !bytes.Equal(value, again) || (err == nil) != (err2 == nil) {
			t.Errorf("key %q: %q %v %v, then %q %v %v", key, value, ok, err, again, ok2, err2)
		}
		listed, first := 0, ""
		for rec, err := range r.All() {
			if err != nil {
				return
			}
			if listed == 0 {
				first = rec.Key
			}
			listed++
		}
		if listed == 0 {
			return
		}
		// What was listed without complaint can be looked up.
		if _, ok, err := r.Lookup([]byte(first)); err == nil && !ok && r.Meta().Type == "hash" {
			t.Errorf("key %q was listed and is not found", first)
		}
		if n, err := r.Verify(); err == nil && n != int64(listed) {
			t.Errorf("verified %d records, listed %d", n, listed)
		}
	})
}

// FuzzBuild builds a file of any two records and reads it back.
func FuzzBuild(f *testing.F) {
	f.Add("a", "1", "ab", "2", true)
	f.Add("", "", "\x00", "x", false)
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string, btree bool) {
		kind := "hash"
		if btree {
			kind = "btree"
		}
		b, err := builders[kind](table.BuildOptions{Duplicates: table.KeepLast, PageSize: 512})
		require.NoError(t, err)
		want := map[string]string{k1: v1}
		want[k2] = v2
		require.NoError(t, b.Put([]byte(k1), []byte(v1)))
		require.NoError(t, b.Put([]byte(k2), []byte(v2)))
		var out bytes.Buffer
		_, err = b.WriteTo(&out)
		require.NoError(t, err)
		r, err := bdb.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()), "fuzz")
		require.NoError(t, err)
		n, err := r.Verify()
		require.NoError(t, err)
		require.EqualValues(t, len(want), n)
		for k, v := range want {
			got, ok, err := r.Lookup([]byte(k))
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, v, string(got))
		}
	})
}
