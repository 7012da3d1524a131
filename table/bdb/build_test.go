package bdb_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
)

// sample is a set of records to build a file of.
type sample struct {
	name string
	dup  table.Duplicates
	recs []table.Record
}

// samples are what files are built of in the tests, with n records in those that have a size.
func samples() []sample {
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return string(b)
	}
	var out []sample
	add := func(name string, dup table.Duplicates, n int, rec func(i int) (key, value string)) {
		s := sample{name: name, dup: dup}
		for i := range n {
			k, v := rec(i)
			s.recs = append(s.recs, table.Record{Key: k, Value: v})
		}
		out = append(out, s)
	}
	add("empty", 0, 0, nil)
	for _, n := range []int{1, 10, 5000} {
		add(fmt.Sprintf("aliases-%d", n), 0, n, func(i int) (string, string) {
			return fmt.Sprintf("user%05d", i*7919%n), fmt.Sprintf("box%d@example.org", i)
		})
		add(fmt.Sprintf("binary-%d", n), 0, n, func(i int) (string, string) {
			return random(4+i%13) + fmt.Sprint(i), random(i % 40)
		})
	}
	add("prefixes", 0, 300, func(i int) (string, string) { return strings.Repeat("a", i), fmt.Sprint(i) })
	add("prefixes-ff", 0, 300, func(i int) (string, string) { return strings.Repeat("\xff", i), fmt.Sprint(i) })
	add("prefixes-00", 0, 300, func(i int) (string, string) { return strings.Repeat("\x00", i), fmt.Sprint(i) })
	add("large-values", 0, 60, func(i int) (string, string) { return fmt.Sprint(i), random(i * i * 10) })
	add("large-keys", 0, 60, func(i int) (string, string) { return random(i*60) + fmt.Sprint(i), fmt.Sprint(i) })
	add("mixed-keys", 0, 400, func(i int) (string, string) { return random(i*97%1500) + fmt.Sprint(i), random(i % 2000) })
	add("long-common-prefix", 0, 200, func(i int) (string, string) {
		return strings.Repeat("common", 200) + fmt.Sprintf("%04d", i), strings.Repeat("v", 500)
	})
	add("limits", 0, 30, func(i int) (string, string) { return fmt.Sprintf("%010d", i) + random(1000+i), random(1000 + i) })
	add("one-bucket", 0, 500, func(i int) (string, string) { return sameBucket(i), fmt.Sprint(i) })
	add("duplicates", table.KeepAll, 900, func(i int) (string, string) { return fmt.Sprint("k", i%30*i%30), fmt.Sprint("v", i) })
	add("duplicates-many", table.KeepAll, 5000, func(i int) (string, string) { return fmt.Sprint("k", i%3), fmt.Sprint("value ", i) })
	add("duplicates-large", table.KeepAll, 100, func(i int) (string, string) { return fmt.Sprint("k", i%4), random(i * 50) })
	add("duplicates-equal", table.KeepAll, 40, func(i int) (string, string) { return fmt.Sprint("k", i%3), "v" })
	return out
}

// sameBucket gives different keys whose hash is zero in the low bits: bytes that cancel each other are hard to
// find by hand, so it tries.
func sameBucket(i int) string {
	for n := i << 16; ; n++ {
		key := fmt.Sprintf("key-%d", n)
		h := uint32(0)
		for _, c := range []byte(key) {
			h = h*16777619 ^ uint32(c)
		}
		if h&0x3ff == 0 {
			return key
		}
	}
}

// builders are the two access methods.
var builders = map[string]func(table.BuildOptions) (*bdb.Builder, error){"hash": bdb.NewHashBuilder, "btree": bdb.NewBtreeBuilder}

// build makes the file of a sample.
func build(t testing.TB, kind string, o table.BuildOptions, recs []table.Record) []byte {
	t.Helper()
	b, err := builders[kind](o)
	require.NoError(t, err)
	for _, rec := range recs {
		require.NoError(t, b.Put([]byte(rec.Key), []byte(rec.Value)))
	}
	require.Equal(t, len(recs), b.Len())
	var out bytes.Buffer
	n, err := b.WriteTo(&out)
	require.NoError(t, err)
	require.EqualValues(t, out.Len(), n)
	return out.Bytes()
}

func TestBuildReadsBack(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		for kind := range maps.Keys(builders) {
			for _, ps := range []int{512, 4096, 65536} {
				if testing.Short() && ps == 65536 && len(s.recs) > 1000 {
					continue // a page takes long to search where nothing is kept
				}
				t.Run(fmt.Sprint(s.name, "/", kind, "/", ps), func(t *testing.T) {
					t.Parallel()
					file := build(t, kind, table.BuildOptions{Duplicates: s.dup, PageSize: ps}, s.recs)
					r, err := bdb.NewReader(bytes.NewReader(file), int64(len(file)), "built")
					require.NoError(t, err)
					assert.EqualValues(t, len(file), (int64(r.Meta().LastPage)+1)*int64(ps), "no page is missing or too many")
					want, got := make(map[string][]string), make(map[string][]string)
					for _, rec := range s.recs {
						want[rec.Key] = append(want[rec.Key], rec.Value)
					}
					for rec, err := range r.All() {
						require.NoError(t, err)
						got[rec.Key] = append(got[rec.Key], rec.Value)
					}
					require.Equal(t, want, got)
					for key, values := range want {
						for range 2 { // the second time the page is known
							v, ok, err := r.Lookup([]byte(key))
							if err != nil || !ok || string(v) != values[0] {
								t.Fatalf("%q: %q, %v, %v, want %q", key, v, ok, err, values[0])
							}
						}
						for _, absent := range []string{key + "x", "x" + key} {
							if want[absent] == nil {
								if _, ok, err := r.Lookup([]byte(absent)); err != nil || ok {
									t.Fatalf("%q: %v, %v, though it is not there", absent, ok, err)
								}
							}
						}
					}
				})
			}
		}
	}
}

// TestBuildLargeRecords: records that are larger than what a Builder takes from the system at a time, between small ones.
func TestBuildLargeRecords(t *testing.T) {
	t.Parallel()
	var recs []table.Record
	for i, n := range []int{1, 6 << 20, 0, 1 << 20, 4<<20 - 30, 4 << 20, 2, 9 << 20, 3 << 20, 3 << 20, 5} {
		recs = append(recs, table.Record{Key: fmt.Sprint("k", i), Value: strings.Repeat(string(rune('a'+i)), n)})
	}
	for kind := range maps.Keys(builders) {
		file := build(t, kind, table.BuildOptions{PageSize: 65536}, recs)
		r, err := bdb.NewReader(bytes.NewReader(file), int64(len(file)), "built")
		require.NoError(t, err)
		n, err := r.Verify()
		require.NoError(t, err)
		require.EqualValues(t, len(recs), n)
		for _, rec := range recs {
			v, ok, err := r.Lookup([]byte(rec.Key))
			require.NoError(t, err)
			require.True(t, ok && string(v) == rec.Value, "%s %s", kind, rec.Key)
		}
	}
}
