package cdb_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/table/cdb"
)

// FuzzReader lists, verifies and asks a file of any bytes. It must end and must not panic.
func FuzzReader(f *testing.F) {
	z, err := zip.OpenReader("../testdata/vectors/table.zip")
	require.NoError(f, err)
	defer z.Close()
	for _, file := range z.File {
		if strings.HasSuffix(file.Name, ".cdb") && file.UncompressedSize64 < 64<<10 {
			in, err := file.Open()
			require.NoError(f, err)
			b, err := io.ReadAll(in)
			require.NoError(f, err)
			f.Add(b, "alpha")
		}
	}
	f.Fuzz(func(t *testing.T, file []byte, key string) {
		r, err := cdb.NewReader(bytes.NewReader(file), int64(len(file)), "fuzz")
		if err != nil {
			return
		}
		_, _, _ = r.Lookup([]byte(key))
		listed := int64(0)
		var keys []string
		for rec, err := range r.All() {
			if err != nil {
				return
			}
			listed++
			if len(keys) < 10 {
				keys = append(keys, rec.Key)
			}
		}
		n, err := r.Verify()
		if err != nil {
			return
		}
		if n != listed {
			t.Errorf("verified %d records, listed %d", n, listed)
		}
		for _, k := range keys {
			if _, ok, err := r.Lookup([]byte(k)); !ok || err != nil {
				t.Errorf("key %q was verified and is not found: %v", k, err)
			}
		}
	})
}
