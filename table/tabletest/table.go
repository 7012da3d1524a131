package tabletest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/table"
)

// Content is what the tables under test are asked to hold: empty and long values, keys that are prefixes of others, bytes
// above 0x7F, blanks, and keys that differ in case only.
func Content() map[string]string {
	m := map[string]string{
		"a": "1", "ab": "2", "abc": "3", "abcd": "4", "A": "upper", "joe@example.org": "joe, ann",
		"192.0.2": "REJECT", ".example.org": "esmtp:[192.0.2.1]", "k\xc3\xa4fer": "v\xff\xfe", "key with blank": " v ",
		"error": `error:5.1.1:"550 no such user"`, "x": "x", "@": "everybody",
	}
	long := make([]byte, 900)
	for i := range long {
		long[i] = 'a' + byte(i%26)
	}
	m["long"] = string(long)
	return m
}

// TestTable checks a Table. open returns a table that holds exactly the given content.
func TestTable(t *testing.T, open func(t *testing.T, content map[string]string) mtakit.Table) {
	t.Helper()
	content := Content()
	tab := open(t, content)
	t.Run("present", func(t *testing.T) { checkPresent(t, tab, content) })
	t.Run("absent", func(t *testing.T) { checkAbsent(t, tab, content) })
	t.Run("context", func(t *testing.T) { checkContext(t, tab, content) })
	t.Run("concurrent", func(t *testing.T) { checkConcurrent(t, tab, content) })
	t.Run("position", func(t *testing.T) { checkPosition(t, tab, content) })
	if m, ok := tab.(table.Map); ok {
		t.Run("all", func(t *testing.T) { checkAll(t, m, content) })
	}
	t.Run("empty", func(t *testing.T) { checkAbsent(t, open(t, nil), nil) })
}

func checkPresent(t *testing.T, tab mtakit.Table, content map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(content)) {
		v, ok, err := tab.Lookup(t.Context(), key)
		if err != nil || !ok || v != content[key] {
			t.Errorf("Lookup(%q) = %q, %v, %v; a key that is present gives its value %q, true, nil", key, v, ok, err, content[key])
		}
	}
}

func checkAbsent(t *testing.T, tab mtakit.Table, content map[string]string) {
	for _, key := range []string{"", "abs", "ABC", "a ", " a", "joe@example.or", "joe@example.org\x00", "\x00", "longe", "zzz"} {
		if _, present := content[key]; present {
			continue
		}
		if v, ok, err := tab.Lookup(t.Context(), key); v != "" || ok || err != nil {
			t.Errorf("Lookup(%q) = %q, %v, %v; a key that is absent gives \"\", false, nil, and keys are looked up exactly as given", key, v, ok, err)
		}
	}
}

func checkContext(t *testing.T, tab mtakit.Table, content map[string]string) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, key := range []string{"a", "absent"} {
		v, ok, err := tab.Lookup(ctx, key)
		want, present := content[key]
		switch {
		case err == nil && (ok != present || v != want):
			t.Errorf("Lookup(%q) after cancel = %q, %v, nil; without an error the answer has to be right", key, v, ok)
		case err != nil && !errors.Is(err, context.Canceled):
			t.Errorf("Lookup(%q) after cancel: %v; the error is that of the context", key, err)
		case err != nil && (ok || v != ""):
			t.Errorf("Lookup(%q) after cancel = %q, %v, %v; with an error value and ok are zero", key, v, ok, err)
		case err != nil && !mtakit.Temporary(err):
			t.Errorf("Lookup(%q) after cancel: %v is permanent; \"cannot tell\" is temporary", key, err)
		}
	}
}

func checkConcurrent(t *testing.T, tab mtakit.Table, content map[string]string) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				for key, want := range content {
					if v, ok, err := tab.Lookup(t.Context(), key); err != nil || !ok || v != want {
						t.Errorf("Lookup(%q) = %q, %v, %v while others look up; a Table may be used by several goroutines at once", key, v, ok, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func checkPosition(t *testing.T, tab mtakit.Table, content map[string]string) {
	p, ok := tab.(mtakit.PositionTable)
	if !ok {
		t.Skip("not a PositionTable")
	}
	for key, want := range content {
		v, _, ok, err := p.LookupPosition(t.Context(), key)
		if err != nil || !ok || v != want {
			t.Errorf("LookupPosition(%q) = %q, %v, %v; it gives the same answer as Lookup: %q", key, v, ok, err, want)
		}
	}
	if _, _, ok, err := p.LookupPosition(t.Context(), "absent"); ok || err != nil {
		t.Errorf("LookupPosition(absent) = %v, %v; want false, nil", ok, err)
	}
}

// trimNUL removes the one NUL that a map file may append.
func trimNUL(s string) string {
	if n := len(s); n > 0 && s[n-1] == 0 {
		return s[:n-1]
	}
	return s
}

func checkAll(t *testing.T, m table.Map, content map[string]string) {
	got := make(map[string]string)
	var order []string
	for rec, err := range m.All() {
		if err != nil {
			t.Fatalf("All: %v", err)
		}
		key := trimNUL(rec.Key)
		if _, twice := got[key]; twice {
			t.Errorf("All yields %q twice", key)
		}
		got[key] = trimNUL(rec.Value)
		order = append(order, key)
	}
	if !maps.Equal(got, content) {
		t.Errorf("All yields %q; want exactly the content %q", got, content)
	}
	n := 0
	for range m.All() {
		if n++; n == 2 {
			break
		}
	}
	i := 0
	for rec := range m.All() {
		if i >= len(order) || trimNUL(rec.Key) != order[i] {
			t.Errorf("All yields another order the second time")
			break
		}
		i++
	}
}
