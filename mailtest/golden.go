package mailtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// Equal compares two texts, such as messages or logs, and fails the test with a line by line difference in which CR,
// NUL, tabs, blanks at line ends and other invisible bytes are shown.
func Equal(tb testing.TB, want, got string) {
	tb.Helper()
	if d := Diff(want, got); d != "" {
		tb.Errorf("not as wanted:\n%s", d)
	}
}

// Golden compares got with the content of a file. With MAILTEST_UPDATE=1 in the environment it writes the file instead.
func Golden(tb testing.TB, file, got string) {
	tb.Helper()
	if os.Getenv("MAILTEST_UPDATE") == "1" {
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			tb.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		tb.Fatalf("%v (MAILTEST_UPDATE=1 writes it)", err)
	}
	if d := Diff(string(want), got); d != "" {
		tb.Errorf("not as in %s (MAILTEST_UPDATE=1 accepts it):\n%s", file, d)
	}
}

// Diff shows where two texts differ, as lines: "-" only in want, "+" only in got, " " in both, with three lines of
// context and line numbers of want. Bytes that cannot be seen are written as in Go strings, a blank at the end of a
// line as a middle dot, and a last line without line end is marked. It is "" when the texts are equal.
func Diff(want, got string) string {
	if want == got {
		return ""
	}
	a, b := splitLines(want), splitLines(got)
	ops := lineOps(a, b)
	const context = 3
	var out strings.Builder
	last := -1 // the last operation that was printed
	for i, op := range ops {
		if op.kind == ' ' && !near(ops, i, context) {
			continue
		}
		if i != last+1 || last < 0 {
			fmt.Fprintf(&out, "@@ line %d\n", op.line+1)
		}
		out.WriteString(string(op.kind) + visible(op.text) + "\n")
		last = i
	}
	return out.String()
}

type lineOp struct {
	kind byte // ' ', '-' or '+'
	text string
	line int // of want, from 0
}

// near reports whether a changed line is within n operations of i.
func near(ops []lineOp, i, n int) bool {
	for j := max(0, i-n); j < min(len(ops), i+n+1); j++ {
		if ops[j].kind != ' ' {
			return true
		}
	}
	return false
}

// lineOps finds a shortest way from a to b. Between the common beginning and end it takes memory for the product of
// the numbers of lines; beyond 4 million it gives up and shows one block instead of another.
func lineOps(a, b []string) []lineOp {
	var ops []lineOp
	pre := 0
	for pre < len(a) && pre < len(b) && a[pre] == b[pre] {
		ops = append(ops, lineOp{' ', a[pre], pre})
		pre++
	}
	post := 0
	for post < len(a)-pre && post < len(b)-pre && a[len(a)-1-post] == b[len(b)-1-post] {
		post++
	}
	ma, mb := a[pre:len(a)-post], b[pre:len(b)-post]
	i, j := 0, 0
	if len(ma)*len(mb) <= 4<<20 {
		lcs := commonLengths(ma, mb)
		for i < len(ma) && j < len(mb) {
			switch {
			case ma[i] == mb[j]:
				ops = append(ops, lineOp{' ', ma[i], pre + i})
				i, j = i+1, j+1
			case lcs[i+1][j] >= lcs[i][j+1]:
				ops = append(ops, lineOp{'-', ma[i], pre + i})
				i++
			default:
				ops = append(ops, lineOp{'+', mb[j], pre + i})
				j++
			}
		}
	}
	for ; i < len(ma); i++ {
		ops = append(ops, lineOp{'-', ma[i], pre + i})
	}
	for ; j < len(mb); j++ {
		ops = append(ops, lineOp{'+', mb[j], pre + i})
	}
	for k := len(a) - post; k < len(a); k++ {
		ops = append(ops, lineOp{' ', a[k], k})
	}
	return ops
}

// commonLengths is the table of the longest common subsequence: [i][j] for a[i:] and b[j:].
func commonLengths(a, b []string) [][]int {
	t := make([][]int, len(a)+1)
	for i := range t {
		t[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				t[i][j] = t[i+1][j+1] + 1
			} else {
				t[i][j] = max(t[i+1][j], t[i][j+1])
			}
		}
	}
	return t
}

func splitLines(s string) []string {
	lines := strings.SplitAfter(s, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// visible makes a line readable.
func visible(line string) string {
	text, ended := strings.CutSuffix(line, "\n")
	var b strings.Builder
	trimmed := strings.TrimRight(text, " ")
	for i := 0; i < len(trimmed); {
		r, n := rune(trimmed[i]), 1
		if r >= 0x80 {
			r, n = utf8.DecodeRuneInString(trimmed[i:])
		}
		switch {
		case r == '\t', r == '\r':
			b.WriteString(map[rune]string{'\t': `\t`, '\r': `\r`}[r])
		case r < ' ' || r == 0x7f || r == 0xfffd && n == 1:
			fmt.Fprintf(&b, `\x%02x`, trimmed[i])
		default:
			b.WriteString(trimmed[i : i+n])
		}
		i += n
	}
	b.WriteString(strings.Repeat("·", len(text)-len(trimmed)))
	if !ended {
		b.WriteString(" (no line end)")
	}
	return b.String()
}
