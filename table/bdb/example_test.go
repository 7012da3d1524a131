package bdb_test

import (
	"bytes"
	"fmt"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
)

// Example lists a btree file, which is in key order.
func Example() {
	b, _ := bdb.NewBtreeBuilder(table.BuildOptions{NUL: table.NULAlways})
	b.Put([]byte("root"), []byte("ann"))
	b.Put([]byte("abuse"), []byte("root"))
	var file bytes.Buffer
	b.WriteTo(&file)

	r, err := bdb.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()), "aliases.db")
	if err != nil {
		fmt.Println(err)
		return
	}
	for rec, err := range r.All() {
		fmt.Printf("%q %q %v\n", rec.Key, rec.Value, err)
	}
	// Output:
	// "abuse\x00" "root\x00" <nil>
	// "root\x00" "ann\x00" <nil>
}
