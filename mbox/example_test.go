package mbox_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mtakit/mtakit/mbox"
)

const lunch = "From ann@example.org Sun Nov 22 10:00:00 2026\nSubject: lunch\n\nAt noon?\n>From Bob I heard nothing.\n\n" +
	"From bob@example.org Sun Nov 22 10:05:00 2026\nSubject: Re: lunch\n\nFine.\n\n"

// Every message is an io.Reader; what the From_ line says is beside it.
func Example() {
	for m, err := range mbox.NewReader(strings.NewReader(lunch)).Messages() {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println("---", m.Offset, m.Separator().Sender, m.Separator().Date.Format(time.TimeOnly))
		_, _ = io.Copy(os.Stdout, m)
	}
	// Output:
	// --- 0 ann@example.org 10:00:00
	// Subject: lunch
	//
	// At noon?
	// From Bob I heard nothing.
	// --- 99 bob@example.org 10:05:00
	// Subject: Re: lunch
	//
	// Fine.
}

// A delivery: locked, quoted, synced, and cut back if anything fails.
func ExampleAppend() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	box := filepath.Join(dir, "ann")
	env := &mbox.Envelope{Sender: "bob@example.org", Date: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Head: []byte("Return-Path: <bob@example.org>\n")}
	at, err := mbox.Append(context.Background(), box, env, strings.NewReader("Subject: hi\n\nFrom here on it is quoted.\n"), nil)
	fmt.Println(at.Offset, at.Size, err)
	b, _ := os.ReadFile(box)
	fmt.Print(string(b))
	// Output:
	// 0 119 <nil>
	// From bob@example.org Sun Nov 22 10:00:00 2026
	// Return-Path: <bob@example.org>
	// Subject: hi
	//
	// >From here on it is quoted.
}

// The shapes of go-mbox.
func ExampleWriter() {
	var out bytes.Buffer
	w := mbox.NewWriter(&out)
	m, _ := w.CreateMessage("ann@example.org", time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	_, _ = io.WriteString(m, "Subject: hi\n\nno line end")
	_ = w.Close()
	fmt.Printf("%q\n", out.String())
	// Output:
	// "From ann@example.org Sun Nov 22 10:00:00 2026\nSubject: hi\n\nno line end\n\n"
}

// Random access: the index is 24 bytes a message, and can be saved.
func ExampleBuildIndex() {
	r := strings.NewReader(lunch)
	x, err := mbox.BuildIndex(r, r.Size(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, _ := x.Open(r, 1)
	h, _ := m.Header()
	fmt.Printf("%v %q\n", x.Messages[1], h)
	// Output:
	// {99 145 171} "Subject: Re: lunch\n\n"
}

// Which variant is it?
func ExampleDetect() {
	d, _ := mbox.Detect(strings.NewReader(lunch))
	fmt.Println(d.Format, d.Variant, d.Confidence, d.Mode)
	// Output: mbox mboxrd ambiguous strict
}

// Two damaged places, and what a repair makes of them.
func ExampleRepair() {
	bad := "From a@b Thu Jan  1 00:00:01 2015\nSubject: 1\n\nFrom prose\nFrom c@d Thu Jan  1 00:00:02 2015\nSubject: 2\n\nx\n\n"
	w := mbox.NewWriter(os.Stdout)
	found, err := mbox.Repair(w, strings.NewReader(bad), nil)
	fmt.Println(found, err)
	// Output:
	// From a@b Thu Jan  1 00:00:01 2015
	// Subject: 1
	//
	// >From prose
	//
	// From c@d Thu Jan  1 00:00:02 2015
	// Subject: 2
	//
	// x
	//
	// [46: unquoted From_ line 57: no blank line] <nil>
}
