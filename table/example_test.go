package table_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
)

// Example builds a map that sendmail can read, opens it by its name, and looks a key up.
func Example() {
	dir, _ := os.MkdirTemp("", "maps")
	defer os.RemoveAll(dir)
	ctx := context.Background()
	path := filepath.Join(dir, "access.db")

	b, _ := bdb.NewHashBuilder(table.BuildOptions{})
	s := table.NewScanner(strings.NewReader("example.com  REJECT\nExample.ORG  OK\n"), "access", nil)
	for s.Scan() {
		if err := s.Err(); err != nil {
			fmt.Println(s.Pos(), err)
			continue
		}
		b.Put(s.Key(), s.Value())
	}
	if err := bdb.Hash().Install(ctx, path, b, nil); err != nil {
		fmt.Println(err)
	}

	registry := table.Registry{"hash": bdb.Hash(), "btree": bdb.Btree(), "cdb": cdb.Engine(), "text": table.TextEngine(nil)}
	access, err := registry.Open(ctx, "hash:"+path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer access.Close()
	fmt.Println(access.Lookup(ctx, "example.org"))
	// Output: OK true <nil>
}

// A Set switches its tables together, and keeps the last good ones when a file is bad.
func ExampleSet() {
	dir, _ := os.MkdirTemp("", "maps")
	defer os.RemoveAll(dir)
	ctx := context.Background()
	path := filepath.Join(dir, "virtusertable")
	os.WriteFile(path, []byte("info@example.org ann\n"), 0o600)

	source, _ := table.Registry{"text": table.TextEngine(nil)}.Source("virtual", "text:"+path)
	set, err := table.NewSet(ctx, nil, source)
	if err != nil {
		fmt.Println(err)
		return
	}
	virtual := set.Table("virtual")

	os.WriteFile(path, []byte("info@example.org\n"), 0o600)
	fmt.Println(strings.ReplaceAll(set.Reload(ctx, false).Error(), dir+"/", ""))
	fmt.Println(virtual.Lookup(ctx, "info@example.org"))
	// Output:
	// table virtual: virtusertable:1:1: no RHS for LHS info@example.org
	// ann true <nil>
}

// Parse keeps every good record and reports every bad line.
func ExampleParse() {
	text, err := table.Parse(strings.NewReader("a 1\n b 2\nc\nA 3\nd 4\n"), "map", nil)
	for rec := range text.All() {
		fmt.Println(rec.Pos.Line, rec.Key, rec.Value)
	}
	fmt.Println(err)
	// Output:
	// 1 a 1
	// 5 d 4
	// map:2:1: syntax error (leading space)
	// map:3:1: no RHS for LHS c
	// map:4:1: key a: duplicate key
}

// A chain asks one table after the other.
func ExampleChain() {
	local := mtakit.MapTable{"root": "ann"}
	shared := mtakit.MapTable{"root": "admins", "abuse": "admins"}
	fmt.Println(table.Chain{local, shared}.Lookup(context.Background(), "root"))
	fmt.Println(table.Chain{local, shared}.Lookup(context.Background(), "abuse"))
	// Output:
	// ann true <nil>
	// admins true <nil>
}
