package maildir_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mtakit/mtakit/maildir"
)

// fixed makes names that are the same every time: for examples and fixtures.
func fixed() *maildir.Namer {
	var n uint64
	return &maildir.Namer{
		Host: "mx.example.org", Pid: 42,
		Now:  func() time.Time { return time.Unix(1795341600, 0) },
		Rand: func() uint64 { n++; return n },
	}
}

// A message is delivered, shows up in new, and gets a flag.
func Example() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	d := maildir.New(filepath.Join(dir, "Maildir"), &maildir.Options{Namer: fixed()})
	_ = d.Create()

	name, err := d.Deliver(context.Background(), []byte("Return-Path: <bob@example.org>\n"), strings.NewReader("Subject: hi\n\nlunch?\n"))
	fmt.Println(name, err)

	list, _ := d.List()
	for _, e := range list {
		e, _ = d.SetFlags(e, "S")
		f, e, _ := d.Open(e)
		b, _ := io.ReadAll(f)
		f.Close()
		fmt.Printf("%v/%v\n%s", e.Sub, e.Name, b)
	}
	// Output:
	// 1795341600.M0P42Q1R0000000000000001.mx.example.org,S=51 <nil>
	// cur/1795341600.M0P42Q1R0000000000000001.mx.example.org,S=51:2,S
	// Return-Path: <bob@example.org>
	// Subject: hi
	//
	// lunch?
}

// What a name says.
func ExampleEntry() {
	e := maildir.ParseEntry(maildir.CurSub, "1795341600.M1P42.mx,S=51:2,FSa", 0)
	size, _ := e.Size()
	at, _ := e.Time()
	fmt.Println(e.Base(), e.Flags(), e.KeywordLetters(), size, time.Unix(at, 0).UTC())
	// Output: 1795341600.M1P42.mx,S=51 FS a 51 2026-11-22 10:00:00 +0000 UTC
}

// Folders have names in any script; on disk they are coded as IMAP does.
func ExampleDir_CreateFolder() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	d := maildir.New(dir, nil)
	_ = d.Create()
	a, err := d.CreateFolder("Lists", "Grüße")
	fmt.Println(filepath.Base(a.Path()), err)
	list, _ := d.Folders()
	fmt.Println(list[0].Names, maildir.VirtualParents(list))
	// Output:
	// .Lists.Gr&APwA3w-e <nil>
	// [Lists Grüße] [.Lists]
}
