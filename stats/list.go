package stats

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// ListOptions chooses the form of List. The zero value is what mailstats prints without options.
type ListOptions struct {
	Names    []string       // of mailers, by number; those missing are shown without a name
	NoNames  bool           // -o: leave the names out
	Program  bool           // -P: plain numbers, to be read by programs
	Now      time.Time      // the second time of the program form, and the first of a file never updated; zero means now
	Location *time.Location // of the heading; nil means local time
}

// List prints the counters as mailstats does. Nil options mean the zero value.
func (c *Counters) List(w io.Writer, opts *ListOptions) error {
	var o ListOptions
	if opts != nil {
		o = *opts
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Location == nil {
		o.Location = time.Local
	}
	since := c.Since
	if since.IsZero() {
		since = o.Now
	}
	p := printer{w: w}
	row, total := "%2d %8d %10dK %8d %10dK   %6d  %6d  %6d", " T %8d %10dK %8d %10dK   %6d  %6d  %6d\n"
	if o.Program {
		row, total = "%2d %8d %10d %8d %10d   %6d  %6d  %6d", " T %8d %10d %8d %10d   %6d  %6d  %6d\n"
		p.print("%d %d\n", since.Unix(), o.Now.Unix())
	} else {
		p.print("Statistics from %s", ctime(since.In(o.Location)))
		p.print(" M   msgsfr  bytes_from   msgsto    bytes_to  msgsrej msgsdis msgsqur")
		if !o.NoNames {
			p.print("  Mailer")
		}
		p.print("\n")
	}
	var sum Mailer
	for n := range c.Mailers {
		m := &c.Mailers[n]
		if m.From == 0 && m.To == 0 && m.Rejected == 0 && m.Discarded == 0 && m.Quarantined == 0 {
			continue
		}
		p.print(row, n, m.From, m.KBFrom, m.To, m.KBTo, m.Rejected, m.Discarded, m.Quarantined)
		if !o.NoNames {
			name := ""
			if n < len(o.Names) {
				name = o.Names[n]
			}
			p.print("  %s", name)
		}
		p.print("\n")
		for i, v := range m.fields() {
			*sum.fields()[i] += *v
		}
	}
	if !o.Program {
		p.print("=====================================================================\n")
	}
	p.print(total, sum.From, sum.KBFrom, sum.To, sum.KBTo, sum.Rejected, sum.Discarded, sum.Quarantined)
	if o.Program {
		p.print(" C %8d %8d %6d\n", c.ConnAccepted, c.ConnMade, c.ConnRejected)
	} else {
		p.print(" C %8d %10s  %8d %10s    %6d\n", c.ConnAccepted, "", c.ConnMade, "", c.ConnRejected)
	}
	return p.err
}

// ctime is the C library's ctime(3), whose result has a newline. It has no text for years that an int does not hold, and
// mailstats prints "(null)" then, without a newline.
func ctime(t time.Time) string {
	if y := t.Year(); y > math.MaxInt32 || y < math.MinInt32+1900 {
		return "(null)"
	}
	return t.Format("Mon Jan _2 15:04:05 ") + strconv.Itoa(t.Year()) + "\n"
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) print(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
