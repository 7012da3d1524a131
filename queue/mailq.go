package queue

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/strerror"
	"github.com/mtakit/mtakit/queue/qf"
)

// Listing is what sendmail's mailq prints, and the options that change it. The zero value is a plain mailq.
type Listing struct {
	Verbose     bool      // -v
	Quarantined bool      // -qQ
	Lost        bool      // -qL
	Group       string    // -qG: only this queue group, in any case; "mqueue" is the default one
	Patterns    []Pattern // -qI, -qS, -qR, -qQtext
	Sort        SortOrder // QueueSortOrder
	MaxRun      int       // MaxQueueRunSize: print at most so many per directory; zero means all
	// MinAge and MaxAge are MinQueueAge and MaxQueueAge, for the mark "-". Patterns switch it off.
	MinAge, MaxAge time.Duration
	// QueueLA and QueueFactor are for the mark "X": entries that the load keeps waiting. Load returns the load average; nil
	// reads it from the system. Zero means eight times the processors, a negative QueueLA means zero.
	QueueLA, QueueFactor int
	Load                 func() int
	// Location is the time zone; nil means local time.
	Location *time.Location
	// Now is the time for marks; zero means now.
	Now time.Time
}

// SortOrder is sendmail's option QueueSortOrder.
type SortOrder byte

// Values of SortOrder.
const (
	SortPriority     SortOrder = iota
	SortHost                   // by domain of the first recipient, spelled backwards
	SortTime                   // by creation
	SortFilename               // by queue id
	SortModification           // by the time of the control file
	SortRandom
	SortNone    // as the directory has them
	SortShuffle // hosts in random order
)

// ParseSortOrder reads the value of QueueSortOrder: the first letter counts.
func ParseSortOrder(s string) (SortOrder, error) {
	if s != "" {
		switch s[0] | 0x20 {
		case 'p':
			return SortPriority, nil
		case 'h':
			return SortHost, nil
		case 't':
			return SortTime, nil
		case 'f':
			return SortFilename, nil
		case 'm':
			return SortModification, nil
		case 'r':
			return SortRandom, nil
		case 'n':
			return SortNone, nil
		case 's':
			return SortShuffle, nil
		}
	}
	return 0, fmt.Errorf("invalid queue sort order %q", s)
}

// listed is one entry of a listing.
type listed struct {
	name
	prio   int64
	ctime  int64
	mtime  time.Time
	host   string
	locked bool
	young  bool
	skip   bool   // does not match, or must not be listed
	head   string // id, right-aligned
	fault  string // what stands between id and mark
	text   []byte // everything after the mark, rendered
	plain  bool   // text is a message without a mark
}

// Print writes the listing of all queue directories and returns the number of requests. sendmail: printqueue.
func (d *Dir) Print(ctx context.Context, w io.Writer, o Listing) (total int, err error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Location == nil {
		o.Location = time.Local
	}
	if o.QueueFactor == 0 {
		o.QueueFactor = 600000
	}
	if o.Load == nil {
		o.Load = loadAverage
	}
	switch {
	case o.QueueLA == 0:
		o.QueueLA = 8 * runtime.NumCPU()
	case o.QueueLA < 0:
		o.QueueLA = 0
	}
	out := bufio.NewWriterSize(w, 64<<10)
	known := false
	for _, sp := range d.spools {
		if o.Group != "" && !strings.EqualFold(o.Group, cmp.Or(sp.group, "mqueue")) {
			continue
		}
		known = true
		n, err := d.printSpool(ctx, out, sp, &o)
		total += n
		if err != nil {
			out.Flush()
			return total, err
		}
	}
	switch {
	case o.Group == "":
		fmt.Fprintf(out, "\t\tTotal requests: %d\n", total)
	case !known:
		fmt.Fprintf(out, "Queue group %s unknown\n", o.Group)
	}
	return total, out.Flush()
}

func (d *Dir) printSpool(ctx context.Context, w *bufio.Writer, sp *spool, o *Listing) (int, error) {
	letter := "q"
	switch {
	case o.Lost:
		letter = "Q"
	case o.Quarantined:
		letter = "h"
	}
	names, tooLong, err := d.scan(sp, letter)
	if err != nil {
		return 0, err
	}
	for _, n := range tooLong {
		if !o.Verbose {
			break
		}
		fmt.Fprintf(w, "gatherq: %s too long, %d max characters\n", n, maxID+3)
	}
	title := sp.path
	if sp.df != sp.path {
		title = sp.df
	}
	if !o.needsReading() && len(names) > 0 { // then every name counts, and the title need not wait for the files
		printTitle(w, title, len(names), o)
		if err := w.Flush(); err != nil {
			return 0, err
		}
	}
	entries, total := d.collect(ctx, names, o)
	if err := ctx.Err(); err != nil {
		return total, err
	}
	if total == 0 {
		fmt.Fprintf(w, "%s is empty\n", title)
		return 0, nil
	}
	if o.needsReading() { // a quarantined entry under the wrong name is not counted
		printTitle(w, title, total, o)
	}
	o.sort(entries)
	load := o.Load()
	for _, e := range entries {
		w.WriteString(e.head)
		w.WriteString(e.fault)
		if !e.plain {
			w.WriteByte(o.mark(e, load))
		}
		w.Write(e.text)
	}
	return total, nil
}

func printTitle(w *bufio.Writer, dir string, total int, o *Listing) {
	plural := "s"
	if total == 1 {
		plural = ""
	}
	fmt.Fprintf(w, "\t\t%s (%d request%s", dir, total, plural)
	if o.MaxRun > 0 && total > o.MaxRun {
		fmt.Fprintf(w, ", only %d printed", o.MaxRun)
	}
	w.WriteString(")\n")
	if o.Verbose {
		w.WriteString("-----Q-ID----- --Size-- -Priority- ---Q-Time--- --------Sender/Recipient--------\n")
	} else {
		w.WriteString("-----Q-ID----- --Size-- -----Q-Time----- ------------Sender/Recipient-----------\n")
	}
}

// collect reads the entries in parallel. total counts those that MaxRun cuts off, too.
func (d *Dir) collect(ctx context.Context, names []name, o *Listing) (entries []*listed, total int) {
	all := make([]listed, len(names))
	var wg sync.WaitGroup
	workers := min(4, runtime.GOMAXPROCS(0))
	for k := range workers {
		wg.Go(func() {
			for i := k; i < len(all) && ctx.Err() == nil; i += workers {
				all[i].name = names[i]
				d.render(&all[i], o)
			}
		})
	}
	wg.Wait()
	for i := range all {
		if all[i].skip {
			continue
		}
		if total++; o.MaxRun <= 0 || total <= o.MaxRun {
			entries = append(entries, &all[i])
		}
	}
	return entries, total
}

// needsReading reports whether sendmail reads the files to sort and select them; if not, it knows neither priority nor
// locks.
func (o *Listing) needsReading() bool {
	switch o.Sort {
	case SortFilename, SortModification, SortRandom, SortNone:
		return len(o.Patterns) > 0
	}
	return true
}

// render reads one control file and makes its part of the listing.
func (d *Dir) render(e *listed, o *Listing) {
	e.head = fmt.Sprintf("%13s", e.id)
	f, err := d.fs.OpenFile(e.sp.file(e.letter, e.id), os.O_RDONLY, 0)
	if err != nil {
		e.plain = true
		switch {
		case errors.Is(err, fs.ErrNotExist):
			e.text = []byte(" (job completed)\n")
		case errors.Is(err, fs.ErrPermission):
			e.text = []byte(" (permission denied)\n")
		default:
			e.text = []byte(" (" + strerror.Text(err) + ")\n")
		}
		return
	}
	defer f.Close()
	var size int64
	p := printer{d: d, o: o, e: e}
	if fi, err := f.Stat(); err == nil {
		size, e.mtime = fi.Size(), fi.ModTime()
		p.trusted, _ = d.trusted(fi)
	}
	if o.needsReading() {
		ok, err := filelock.TryFlock(f, false)
		e.locked = err == nil && !ok // closing the file unlocks it
	}
	text, err := readText(f, size)
	if err != nil {
		e.plain, e.text = true, []byte(" ("+strerror.Text(err)+")\n")
		return
	}
	p.print(text)
	if !o.needsReading() {
		e.prio, e.young = 0, false
	}
}

// printer goes through the lines of one control file as they come, like the original: mailq shows what is there, not what
// it means.
type printer struct {
	d *Dir
	o *Listing
	e *listed

	trusted    bool // as to owner and mode
	version    int32
	created    int64
	warned     bool
	quarantine string
	body       string
	message    string
	b          bytes.Buffer
	size       int64
}

func (p *printer) print(text string) {
	g := gatherer{o: p.o, e: p.e}
	g.gather(text) // what sorting and selecting need
	if p.e.skip {
		return
	}
	p.bodySize(text)
	for line := range physicalLines(text, printedLine) {
		p.record(line[0], line[1:])
	}
	if p.created == 0 {
		p.b.WriteString(" (no control file)")
	}
	p.b.WriteByte('\n')
	p.e.text = bytes.Clone(p.b.Bytes())
}

func (p *printer) bodySize(text string) {
	fi, err := p.d.fs.Stat(p.e.sp.file('d', p.e.id))
	if err == nil {
		p.size = fi.Size()
		return
	}
	p.size = -1
	if !p.trusted {
		return // sendmail goes no further with such a file
	}
	file, faults := qf.Decode(text, "./"+string(p.e.letter)+"f"+string(p.e.id))
	if line := readFault(text, faults); line != "" {
		p.e.fault = line + "\n"
		return
	}
	if sp := p.d.spoolNamed(file.DataDir); file.DataDir != "" && sp != nil {
		if fi, err = p.d.fs.Stat(sp.file('d', p.e.id)); err == nil {
			p.size = fi.Size()
			return
		}
	}
	p.e.fault = "readqf: cannot open ./df" + string(p.e.id) + ": " + strerror.Text(err) + "\n"
}

// readFault is what sendmail's readqf prints about the first fault that makes it give a file up, "" when there is none.
func readFault(text string, err error) string {
	lines := strings.Split(text, "\n")
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return ""
	}
	for _, err := range joined.Unwrap() {
		var at *mtakit.SyntaxError
		if !errors.As(err, &at) {
			continue
		}
		line := strings.TrimRight(lines[at.Pos.Line-1], "\r")
		switch {
		case errors.Is(err, qf.ErrVersion):
			return fmt.Sprintf("Version number in queue file (%d) greater than max (%d)", number(line[1:]), qf.Version)
		case errors.Is(err, qf.ErrAfterEnd), errors.Is(err, qf.ErrBadValue) && line[0] == 'A':
			return "SECURITY ALERT: extra or bogus data in queue file: " + line
		case errors.Is(err, qf.ErrUnknownLine), errors.Is(err, qf.ErrBlankLine):
			return fmt.Sprintf("readqf: %s: line %d: bad line \"%s\"", at.Pos.File, at.Pos.Line, line)
		}
	}
	return ""
}

func (p *printer) record(letter byte, v string) {
	switch letter {
	case 'V':
		p.version = int32(number(v))
	case 'T':
		p.created = number(v)
	case 'F':
		p.warned = p.warned || strings.Contains(v, "w")
	case 'B':
		p.body = v
	case 'q':
		p.quarantine = v
	case 'M':
		p.message = v
	case 'S':
		p.printSender(v)
	case 'C':
		if p.o.Verbose {
			fmt.Fprintf(&p.b, "\n\t\t\t\t\t\t(---%.64s---)", v)
		}
	case 'R':
		if p.version >= 1 {
			_, after, ok := strings.Cut(v, ":")
			if !ok {
				return
			}
			v = after
		}
		p.printRecipient(v)
	}
}

func (p *printer) printSender(v string) {
	t := time.Unix(p.created, 0).In(p.o.Location)
	limit := 60
	if p.o.Verbose {
		limit = 100
		plus := byte(' ')
		if p.warned {
			plus = '+'
		}
		prio := p.e.prio
		if !p.o.needsReading() {
			prio = 0
		}
		fmt.Fprintf(&p.b, "%8d %10d%c%s ", p.size, prio, plus, t.Format("Jan _2 15:04"))
		p.escaped(v, 78)
	} else {
		fmt.Fprintf(&p.b, "%8d %s ", p.size, t.Format("Mon Jan _2 15:04"))
		p.escaped(v, 39)
	}
	if p.quarantine != "" {
		p.b.WriteString("\n     QUARANTINE: " + cut(p.quarantine, limit))
		p.quarantine = ""
	}
	if p.message != "" || p.body != "" {
		fmt.Fprintf(&p.b, "\n    %10s", cut(p.body, 10))
		if p.message != "" {
			p.b.WriteString("   (" + cut(p.message, limit) + ")")
			p.message = ""
		}
	}
}

func (p *printer) printRecipient(v string) {
	if !p.o.Verbose {
		p.b.WriteString("\n\t\t\t\t\t ")
		p.escaped(v, 38)
		return
	}
	p.b.WriteString("\n\t\t\t\t\t\t")
	p.escaped(v, 71)
	if p.message != "" {
		p.b.WriteString("\n\t\t (" + cut(p.message, 100) + ")")
		p.message = ""
	}
}

// escaped prints at most room columns of an address: a backslash twice, which takes two, and other than printing ASCII
// as \ooo, which takes four.
func (p *printer) escaped(s string, room int) {
	for i := 0; i < len(s) && room > 0; i++ {
		switch c := s[i]; {
		case c == '\\':
			if room -= 2; room >= 0 {
				p.b.WriteString(`\\`)
			}
		case c >= ' ' && c < 0x7f:
			room--
			p.b.WriteByte(c)
		default:
			if room -= 4; room > 0 {
				fmt.Fprintf(&p.b, `\%03o`, c)
			}
		}
	}
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func number(s string) int64 {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && s[end] == '-') {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 64)
	return n
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// mark is the column that tells why an entry would not run now.
func (o *Listing) mark(e *listed, load int) byte {
	switch {
	case e.locked:
		return '*'
	case o.Lost:
		return '?'
	case e.young:
		return '-'
	case load >= o.QueueLA && e.prio > int64(o.QueueFactor/(load-o.QueueLA+1)):
		return 'X'
	}
	return ' '
}

// sort puts the entries in the order of a queue run. Ties keep the order of the directory.
func (o *Listing) sort(es []*listed) {
	locked := func(e *listed) int {
		if e.locked {
			return 1
		}
		return 0
	}
	byPrio := func(a, b *listed) int { return cmp.Compare(a.prio, b.prio) }
	switch o.Sort {
	case SortPriority:
		slices.SortStableFunc(es, byPrio)
	case SortHost, SortShuffle:
		order := func(e *listed) string { return e.host }
		if o.Sort == SortShuffle {
			alphabet := rand.Perm(256)
			order = func(e *listed) string {
				b := []byte(e.host)
				for i := range b {
					b[i] = byte(alphabet[b[i]])
				}
				return string(b)
			}
		}
		busy := make(map[string]bool) // one locked entry makes its host busy
		for _, e := range es {
			busy[e.host] = busy[e.host] || e.locked
		}
		for _, e := range es {
			e.locked = busy[e.host]
		}
		slices.SortStableFunc(es, func(a, b *listed) int {
			return cmp.Or(locked(a)-locked(b), cmp.Compare(order(a), order(b)), byPrio(a, b))
		})
	case SortTime:
		slices.SortStableFunc(es, func(a, b *listed) int { return cmp.Compare(a.ctime, b.ctime) })
	case SortFilename:
		slices.SortStableFunc(es, func(a, b *listed) int { return cmp.Compare(a.id, b.id) })
	case SortModification:
		slices.SortStableFunc(es, func(a, b *listed) int { return a.mtime.Compare(b.mtime) })
	case SortRandom:
		at := rand.IntN(maxID)
		key := func(e *listed) byte {
			if at < len(e.id) {
				return e.id[at]
			}
			return 0
		}
		slices.SortStableFunc(es, func(a, b *listed) int { return cmp.Compare(key(a), key(b)) })
	}
}

// loadAverage is the load of the last minute, rounded, or 0 when the system does not tell.
func loadAverage() int {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	f, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return int(f + 0.5)
}
