package tabletest

import (
	"path/filepath"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/table"
)

// TestEngine checks that an engine builds, installs and opens maps that keep the contract, with and without trailing NUL, and
// that its Builder follows the rule for duplicates.
func TestEngine(t *testing.T, e table.Engine) {
	t.Helper()
	for name, nul := range map[string]table.NUL{"plain": table.NULNever, "NUL": table.NULAlways} {
		t.Run(name, func(t *testing.T) {
			TestTable(t, func(t *testing.T, content map[string]string) mtakit.Table {
				b := newBuilder(t, e, table.BuildOptions{NUL: nul})
				for k, v := range content {
					if err := b.Put([]byte(k), []byte(v)); err != nil {
						t.Fatalf("Put(%q): %v", k, err)
					}
				}
				return installed(t, e, b)
			})
		})
	}
	for _, tt := range []struct {
		name string
		dup  table.Duplicates
		want string
		n    int
	}{{"first", table.KeepFirst, "1", 2}, {"last", table.KeepLast, "3", 2}, {"all", table.KeepAll, "1", 4}} {
		t.Run("duplicates/"+tt.name, func(t *testing.T) {
			b := newBuilder(t, e, table.BuildOptions{Duplicates: tt.dup})
			for _, rec := range [][2]string{{"k", "1"}, {"other", "x"}, {"k", "2"}, {"k", "3"}} {
				err := b.Put([]byte(rec[0]), []byte(rec[1]))
				if wantErr := tt.dup == table.KeepFirst && rec[1] > "1" && rec[0] == "k"; (err != nil) != wantErr {
					t.Errorf("Put(%q, %q): %v", rec[0], rec[1], err)
				}
			}
			if b.Len() != tt.n {
				t.Errorf("Len() = %d, want %d", b.Len(), tt.n)
			}
			m := installed(t, e, b)
			if v, ok, err := m.Lookup(t.Context(), "k"); v != tt.want || !ok || err != nil {
				t.Errorf("Lookup(k) = %q, %v, %v; want %q", v, ok, err, tt.want)
			}
			n := 0
			for _, err := range m.All() {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != tt.n {
				t.Errorf("All yields %d records, want %d", n, tt.n)
			}
		})
	}
}

func newBuilder(t *testing.T, e table.Engine, o table.BuildOptions) table.Builder {
	t.Helper()
	b, err := e.NewBuilder(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func installed(t *testing.T, e table.Engine, b table.Builder) table.Map {
	t.Helper()
	path := e.Path(filepath.Join(t.TempDir(), "map"))
	if err := e.Install(t.Context(), path, b, nil); err != nil {
		t.Fatal(err)
	}
	m, err := e.Open(t.Context(), path, table.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}
