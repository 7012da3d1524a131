package cdb_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/cdb"
	"github.com/mtakit/mtakit/table/tabletest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	tabletest.TestEngine(t, cdb.Engine())
}

// tinycdb runs the original.
func tinycdb(t testing.TB, stdin []byte, args ...string) string {
	t.Helper()
	path := peer.Program(t, "cdb")
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	require.NoError(t, cmd.Run(), "cdb %v: %s", args, &errs)
	return out.String()
}

// dumpForm is the input and output of tinycdb.
func dumpForm(recs []table.Record) []byte {
	var b bytes.Buffer
	for _, rec := range recs {
		fmt.Fprintf(&b, "+%d,%d:%s->%s\n", len(rec.Key), len(rec.Value), rec.Key, rec.Value)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// sample makes n records, some of them with equal keys.
func sample(n int) (recs []table.Record) {
	for i := range n {
		recs = append(recs, table.Record{Key: fmt.Sprintf("k%d", uint32(i)*2654435761%uint32(n+n/2)), Value: strings.Repeat("v\x00\n", i%50)})
	}
	return recs
}

// build makes a file.
func build(t testing.TB, recs []table.Record) []byte {
	t.Helper()
	b := cdb.NewBuilder(table.BuildOptions{Duplicates: table.KeepAll})
	for _, rec := range recs {
		require.NoError(t, b.Put([]byte(rec.Key), []byte(rec.Value)))
	}
	var out bytes.Buffer
	_, err := b.WriteTo(&out)
	require.NoError(t, err)
	return out.Bytes()
}

// TestSameAsTinycdb: the same records give the same bytes, and each program reads the other's file.
func TestSameAsTinycdb(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 10, 5000, 1_000_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			if n > 5000 && testing.Short() {
				t.Skip("a million records")
			}
			recs := sample(n)
			ours := build(t, recs)
			path := filepath.Join(t.TempDir(), "x.cdb")
			tinycdb(t, dumpForm(recs), "-c", path)
			theirs, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(ours, theirs), "the files differ")
			r, err := cdb.NewReader(bytes.NewReader(theirs), int64(len(theirs)), path)
			require.NoError(t, err)
			records, err := r.Verify()
			require.NoError(t, err)
			assert.EqualValues(t, n, records)
			if n > 5000 {
				return
			}
			require.NoError(t, os.WriteFile(path, ours, 0o600))
			assert.Equal(t, string(dumpForm(recs)), tinycdb(t, nil, "-d", path))
			for i := 0; i < n; i += 1 + n/20 {
				v, ok, err := r.Lookup([]byte(recs[i].Key))
				require.NoError(t, err)
				require.True(t, ok)
				assert.Equal(t, tinycdb(t, nil, "-q", "-n", "1", path, recs[i].Key), string(v))
			}
		})
	}
}

// TestVerifyFindsDamage flips every byte of a small file: Verify never fails to see a change in header or tables, and never panics.
func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	recs := sample(8)
	file := build(t, recs)
	end := 2048
	for _, rec := range recs {
		end += 8 + len(rec.Key) + len(rec.Value)
	}
	missed := 0
	for i := range file {
		damaged := bytes.Clone(file)
		damaged[i] ^= 0x41
		r, err := cdb.NewReader(bytes.NewReader(damaged), int64(len(damaged)), "x")
		if err == nil {
			_, err = r.Verify()
		}
		if err == nil && (i >= end || i < 2048) {
			missed++
			empty := i < 2048 && file[i/8*8+4] == 0 && i%8 < 4 // the position of an empty table means nothing
			unused := i >= end && bytes.Equal(file[i/8*8+end%8:][:0], nil) && !inUse(file, end, i)
			assert.True(t, empty || unused, "byte %d", i)
		}
	}
	assert.Positive(t, missed, "some bytes mean nothing")
}

// inUse reports whether byte i belongs to a slot with a record.
func inUse(file []byte, end, i int) bool {
	slot := end + (i-end)/8*8
	return !bytes.Equal(file[slot+4:slot+8], make([]byte, 4))
}
