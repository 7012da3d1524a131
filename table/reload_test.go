package table_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/table"
)

// textSource is a Source for a text file.
func textSource(name, path string) table.Source {
	return table.Source{
		Name:  name,
		Files: []string{path},
		Load: func(context.Context) (mtakit.Table, error) {
			t, err := table.Load(path, nil)
			if err != nil {
				return nil, err
			}
			return t, nil
		},
	}
}

// replaceFile writes a file aside and renames it into place.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

// lookup is the value of key, "-" when absent, "!" on error.
func lookup(ctx context.Context, tab mtakit.Table, key string) string {
	v, ok, err := tab.Lookup(ctx, key)
	switch {
	case err != nil:
		return "!"
	case !ok:
		return "-"
	}
	return v
}

// often lets a Set look at its files all the time.
const often = time.Nanosecond

func TestSetNoticesChanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, path string)
		want   string
	}{
		{"replaced", func(t *testing.T, path string) { replaceFile(t, path, "k new\n") }, "new"},
		{"replaced by one of equal size", func(t *testing.T, path string) { replaceFile(t, path, "k OLD\n") }, "OLD"},
		{"written in place at once, equal size", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte("k OLD\n"), 0o600))
		}, "OLD"},
		{"written in place with the time put back", func(t *testing.T, path string) {
			fi, err := os.Stat(path)
			require.NoError(t, err)
			time.Sleep(30 * time.Millisecond)
			require.NoError(t, os.WriteFile(path, []byte("k OLD\n"), 0o600))
			require.NoError(t, os.Chtimes(path, fi.ModTime(), fi.ModTime()))
		}, "OLD"},
		{"bad file keeps the last good one", func(t *testing.T, path string) { replaceFile(t, path, "k\n") }, "old"},
		{"removed file keeps the last good one", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, "old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "access")
			replaceFile(t, path, "k old\n")
			set, err := table.NewSet(t.Context(), &table.SetOptions{CheckInterval: often}, textSource("access", path))
			require.NoError(t, err)
			tab := set.Table("access")
			assert.Equal(t, "old", lookup(t.Context(), tab, "k"))
			tt.change(t, path)
			assert.Equal(t, tt.want, lookup(t.Context(), tab, "k"))
		})
	}
}

func TestSetFailsAtStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access")
	replaceFile(t, path, "ok yes\nbad\n")
	_, err := table.NewSet(t.Context(), nil, textSource("access", path))
	assert.EqualError(t, err, "table access: "+path+":2:1: no RHS for LHS bad")
}

func TestSetReportsOnceAndRecovers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access")
	replaceFile(t, path, "k old\n")
	var reports []string
	o := &table.SetOptions{CheckInterval: often, RetryInterval: time.Hour, Report: func(g *table.Generation, err error) {
		reports = append(reports, fmt.Sprint(g.Number, err != nil))
	}}
	set, err := table.NewSet(t.Context(), o, textSource("access", path))
	require.NoError(t, err)
	time.Sleep(30 * time.Millisecond) // from here on the file's time is trusted
	require.NoError(t, set.Reload(t.Context(), true))
	replaceFile(t, path, "bad\n")
	time.Sleep(30 * time.Millisecond)
	for range 5 {
		assert.Equal(t, "old", lookup(t.Context(), set.Table("access"), "k"))
	}
	require.ErrorIs(t, set.Err(), table.ErrNoValue)
	replaceFile(t, path, "k new\n")
	assert.Equal(t, "new", lookup(t.Context(), set.Table("access"), "k"))
	require.NoError(t, set.Err())
	assert.Equal(t, []string{"1 false", "2 false", "2 true", "3 false"}, reports)
}

func TestSetRetriesFailedLoads(t *testing.T) {
	t.Parallel()
	broken := errors.New("too many open files")
	fail := broken
	src := table.Source{Name: "x", Load: func(context.Context) (mtakit.Table, error) {
		return mtakit.MapTable{"k": "v"}, fail
	}}
	_, err := table.NewSet(t.Context(), nil, src)
	require.ErrorIs(t, err, broken)
	fail = nil
	set, err := table.NewSet(t.Context(), &table.SetOptions{CheckInterval: often, RetryInterval: time.Millisecond}, src)
	require.NoError(t, err)
	fail = broken
	require.ErrorIs(t, set.Reload(t.Context(), true), broken)
	fail = nil
	time.Sleep(2 * time.Millisecond)
	assert.Equal(t, "v", lookup(t.Context(), set.Table("x"), "k"))
	require.NoError(t, set.Err())
}

// TestSetSwitchesTogether: two tables that are only right together are never seen mixed under a pinned context, and one
// bad table holds back the other.
func TestSetSwitchesTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write := func(gen int) {
		replaceFile(t, a, fmt.Sprintf("k %d\n", gen))
		replaceFile(t, b, fmt.Sprintf("k %d\n", gen))
	}
	write(0)
	set, err := table.NewSet(t.Context(), &table.SetOptions{CheckInterval: -1}, textSource("a", a), textSource("b", b))
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				pinned := set.Pin(t.Context())
				va, vb := lookup(pinned, set.Table("a"), "k"), lookup(pinned, set.Table("b"), "k")
				if !assert.Equal(t, va, vb) {
					return
				}
			}
		})
	}
	for gen := range 50 {
		write(gen)
		require.NoError(t, set.Reload(t.Context(), false))
	}
	cancel()
	wg.Wait()

	replaceFile(t, a, "k 99\n")
	replaceFile(t, b, "bad\n")
	require.Error(t, set.Reload(t.Context(), false))
	assert.Equal(t, "49", lookup(t.Context(), set.Table("a"), "k"), "a waits for b")
	replaceFile(t, b, "k 99\n")
	require.NoError(t, set.Reload(t.Context(), false))
	assert.Equal(t, "99", lookup(t.Context(), set.Table("a"), "k"))
	assert.Equal(t, "99", lookup(t.Context(), set.Table("b"), "k"))
}

func TestSetCancelledReload(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access")
	replaceFile(t, path, "k old\n")
	set, err := table.NewSet(t.Context(), &table.SetOptions{CheckInterval: -1}, textSource("access", path))
	require.NoError(t, err)
	replaceFile(t, path, "k new\n")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, set.Reload(gone, false), context.Canceled)
	require.NoError(t, set.Err(), "a caller who gave up says nothing about the file")
	require.NoError(t, set.Reload(t.Context(), false))
	assert.Equal(t, "new", lookup(t.Context(), set.Table("access"), "k"))
}

func TestSetRun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access")
	replaceFile(t, path, "k old\n")
	changed := make(chan uint64, 100)
	o := &table.SetOptions{CheckInterval: time.Millisecond, Report: func(g *table.Generation, _ error) { changed <- g.Number }}
	set, err := table.NewSet(t.Context(), o, textSource("access", path))
	require.NoError(t, err)
	<-changed
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- set.Run(ctx) }()
	replaceFile(t, path, "k new\n")
	for lookup(t.Context(), set.Generation().Table("access"), "k") != "new" {
		<-changed // the first may be a second look at a file that was very young
	}
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

// TestSetOfMapFiles: a Set keeps to the files that it opened, so that a generation stays together, and recovers at once when one
// is rewritten in place.
func TestSetOfMapFiles(t *testing.T) {
	t.Parallel()
	for class, e := range engines() {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			path := e.Path(filepath.Join(t.TempDir(), "map"))
			require.NoError(t, install(t.Context(), e, path, "0", 10, nil))
			src, err := table.Registry{class: e}.Source("map", class+":"+path)
			require.NoError(t, err)
			set, err := table.NewSet(t.Context(), &table.SetOptions{CheckInterval: time.Hour}, src)
			require.NoError(t, err)
			assert.Equal(t, "0", lookup(t.Context(), set.Table("map"), "k1"))
			require.NoError(t, install(t.Context(), e, path, "1", 10, nil))
			assert.Equal(t, "0", lookup(t.Context(), set.Table("map"), "k1"), "not yet time to look")
			require.NoError(t, set.Reload(t.Context(), false))
			assert.Equal(t, "1", lookup(t.Context(), set.Table("map"), "k1"))
			if class == "text" {
				return
			}
			time.Sleep(5 * time.Millisecond)
			pinned := set.Pin(t.Context())
			rewriteInPlace(t, e, path, "2", 10)
			assert.Equal(t, "!", lookup(pinned, set.Table("map"), "k1"), "what was pinned is gone")
			assert.Equal(t, "2", lookup(t.Context(), set.Table("map"), "k1"))
		})
	}
}
