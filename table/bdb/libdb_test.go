package bdb_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
)

// run runs a program on a copy of nothing: files are given by name. It returns what it printed.
func run(t testing.TB, stdin []byte, name string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	require.NoError(t, cmd.Run(), "%s %v: %s", name, args, &errs)
	return out.String()
}

// lookupProgram compiles the helper that asks libdb.
var lookupProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bdb-lookup")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "lookup")
	out, err := exec.Command("gcc", "-O1", "-o", bin, "testdata/lookup.c", "-ldb-5.3").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("compile testdata/lookup.c: %w: %s", err, out)
	}
	return bin, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := lookupProgram(); err == nil {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// libdbFinds looks every key up through libdb.
func libdbFinds(t *testing.T, path string, recs []table.Record) {
	t.Helper()
	peer.Program(t, "gcc")
	if _, err := os.Stat("/usr/include/db.h"); err != nil {
		peer.Missing(t, "libdb5.3-dev is not installed")
	}
	bin, err := lookupProgram()
	require.NoError(t, err)
	var in []byte
	seen := make(map[string]bool)
	for _, rec := range recs {
		if seen[rec.Key] {
			continue
		}
		seen[rec.Key] = true
		for _, s := range []string{rec.Key, rec.Value} {
			in = binary.NativeEndian.AppendUint32(in, uint32(len(s)))
			in = append(in, s...)
		}
	}
	assert.Equal(t, fmt.Sprintf("%d looked up, %d listed\n", len(seen), len(recs)), run(t, in, bin, path))
}

// verified runs db5.3_verify, which prints one line when all is well and further ones about keys that it wonders at.
func verified(t *testing.T, path string) {
	t.Helper()
	out := run(t, nil, peer.Program(t, "db5.3_verify"), path)
	assert.Equal(t, fmt.Sprintf("BDB5105 Verification of %s succeeded.\n", path), out)
}

// dumped lists a file through db5.3_dump.
func dumped(t *testing.T, path string) (recs []table.Record) {
	t.Helper()
	_, body, ok := strings.Cut(run(t, nil, peer.Program(t, "db5.3_dump"), path), "HEADER=END\n")
	require.True(t, ok)
	body, _, ok = strings.Cut(body, "DATA=END\n")
	require.True(t, ok)
	lines := strings.Split(body, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		k, err := hex.DecodeString(strings.TrimSpace(lines[i]))
		require.NoError(t, err)
		v, err := hex.DecodeString(strings.TrimSpace(lines[i+1]))
		require.NoError(t, err)
		recs = append(recs, table.Record{Key: string(k), Value: string(v)})
	}
	return recs
}

// listed lists a file with our Reader.
func listed(t *testing.T, file []byte) (recs []table.Record) {
	t.Helper()
	r, err := bdb.NewReader(bytes.NewReader(file), int64(len(file)), "built")
	require.NoError(t, err)
	for rec, err := range r.All() {
		require.NoError(t, err)
		recs = append(recs, rec)
	}
	return recs
}

// sorted sorts records. ElementsMatch would compare thousands of them with each other.
func sorted(recs []table.Record) []table.Record {
	slices.SortFunc(recs, func(a, b table.Record) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
	})
	return recs
}

// TestLibdbReadsOurs builds every sample and has libdb verify and list it and find each key. The verification alone would be no
// proof: it does not see keys in the wrong order.
func TestLibdbReadsOurs(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		for kind := range maps.Keys(builders) {
			for _, ps := range []int{512, 4096, 65536} {
				if testing.Short() && ps != 4096 {
					continue
				}
				t.Run(fmt.Sprint(s.name, "/", kind, "/", ps), func(t *testing.T) {
					t.Parallel()
					path := filepath.Join(t.TempDir(), "x.db")
					file := build(t, kind, table.BuildOptions{Duplicates: s.dup, PageSize: ps}, s.recs)
					require.NoError(t, os.WriteFile(path, file, 0o600))
					verified(t, path)
					assert.Equal(t, listed(t, file), dumped(t, path), "the same records in the same order")
					libdbFinds(t, path, s.recs)
				})
			}
		}
	}
}

// TestLibdbMillion is TestLibdbReadsOurs for files as large as they get in practice.
func TestLibdbMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and checks two files of a million records")
	}
	t.Parallel()
	recs := make([]table.Record, 1_000_000)
	for i := range recs {
		recs[i] = table.Record{Key: fmt.Sprintf("user%d", uint32(i)*2654435761), Value: fmt.Sprintf("box%d@mail%d.example.org", i, i%97)}
	}
	for kind := range maps.Keys(builders) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.db")
			require.NoError(t, os.WriteFile(path, build(t, kind, table.BuildOptions{}, recs), 0o600))
			verified(t, path)
			libdbFinds(t, path, recs)
		})
	}
}

// TestMakemapReadsOurs lists a file with makemap -u and lets makemap add to it.
func TestMakemapReadsOurs(t *testing.T) {
	t.Parallel()
	makemap := peer.Program(t, "makemap")
	for _, kind := range slices.Sorted(maps.Keys(builders)) {
		for _, n := range []int{0, 1, 5000} {
			t.Run(fmt.Sprint(kind, n), func(t *testing.T) {
				t.Parallel()
				var recs []table.Record
				for i := range n {
					recs = append(recs, table.Record{Key: fmt.Sprint("k", i), Value: fmt.Sprint("value of ", i)})
				}
				path := filepath.Join(t.TempDir(), "x")
				file := build(t, kind, table.BuildOptions{}, recs)
				require.NoError(t, os.WriteFile(path+".db", file, 0o600))
				var want strings.Builder
				for _, rec := range listed(t, file) {
					want.WriteString(rec.Key + "\t" + rec.Value + "\n")
				}
				assert.Equal(t, want.String(), run(t, nil, makemap, "-u", kind, path))

				// The file can grow in libdb's hands.
				var more strings.Builder
				for i := range 3000 {
					key, value := fmt.Sprint("more", i), strings.Repeat("x", i%700+1)
					recs = append(recs, table.Record{Key: key, Value: value})
					more.WriteString(key + "\t" + value + "\n")
				}
				run(t, []byte(more.String()), makemap, "-o", kind, path)
				verified(t, path+".db")
				libdbFinds(t, path+".db", recs)
				grown, err := os.ReadFile(path + ".db")
				require.NoError(t, err)
				assert.Equal(t, sorted(recs), sorted(listed(t, grown)))
			})
		}
	}
}
