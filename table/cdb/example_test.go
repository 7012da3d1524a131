package cdb_test

import (
	"bytes"
	"fmt"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/cdb"
)

// Example builds a file in memory and looks a key up.
func Example() {
	b := cdb.NewBuilder(table.BuildOptions{})
	b.Put([]byte("root"), []byte("ann"))
	fmt.Println(b.Put([]byte("root"), []byte("bob")))
	var file bytes.Buffer
	b.WriteTo(&file)

	r, err := cdb.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()), "aliases.cdb")
	if err != nil {
		fmt.Println(err)
		return
	}
	value, ok, err := r.Lookup([]byte("root"))
	fmt.Printf("%s %v %v\n", value, ok, err)
	// Output:
	// key root: duplicate key
	// ann true <nil>
}
