package qf_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/mtakit/mtakit/queue/qf"
)

// A control file is read, changed and written. What was not touched stays as it was.
func Example() {
	const text = "V8\nT1795334713\nK0\nN0\nP30159\nS<ann@example.org>\nRPFD:<bob@example.net>\nH??Subject: hello\n.\n"
	f, err := qf.Parse(strings.NewReader(text), "qf6AM85DpW009159")
	if err != nil {
		fmt.Println(err)
		return
	}
	f.Attempts++
	f.Rcpts[0].Message = "Deferred: Connection refused by mx.example.net."
	f.WriteTo(os.Stdout)
	// Output:
	// V8
	// T1795334713
	// K0
	// N1
	// P30159
	// S<ann@example.org>
	// MDeferred: Connection refused by mx.example.net.
	// RPFD:<bob@example.net>
	// H??Subject: hello
	// .
}

// Errors say where and what.
func ExampleParse_fault() {
	_, err := qf.Parse(strings.NewReader("V8\nS<ann@example.org>\nxgarbage\n.\n"), "qf6AM85Y31009515")
	fmt.Println(err)
	// Output:
	// qf6AM85Y31009515:3: unrecognized line: "xgarbage"
}
