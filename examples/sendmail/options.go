package main

import (
	"fmt"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/examples/internal/getopt"
	"github.com/mtakit/mtakit/queue"
)

// options is a sendmail command line.
type options struct {
	mode byte // after -b: m deliver, s SMTP, p list the queue, i rebuild aliases, v verify; q is a queue run

	args       []string
	sender     string // -f, -r
	fullName   string // -F
	fromHeader bool   // -t
	ignoreDots bool   // -i, -oi
	verbose    bool   // -v
	bodyType   string // -B
	notify     mtakit.Notify
	ret, envID string            // -R, -V
	deliver    byte              // -od: b background, i interactive, q queue only, d deferred
	config     string            // -C
	set        map[string]string // -O, -o: by sendmail's long names
	patterns   []queue.Pattern   // -qI, -qR, -qS
}

// usageError is a mistake on the command line: exit code EX_USAGE.
type usageError string

func (e usageError) Error() string { return string(e) }

// shortNames are the one-letter options of -o that mean something here, with their long names.
var shortNames = map[byte]string{
	'A': "AliasFile", 'd': "DeliveryMode", 'i': "IgnoreDots", 'Q': "QueueDirectory", 'm': "MeToo", 'e': "ErrorMode", 'v': "Verbose",
}

// known are the options of -O that exist here; the value says whether they do something. The others are accepted,
// because programs pass them, and change nothing.
var known = map[string]bool{
	"aliasfile": true, "queuedirectory": true, "deliverymode": true, "ignoredots": true, "verbose": true,
	"maxmessagesize": true, "supersafe": true,
	"metoo": false, "errormode": false, "loglevel": false, "timeout": false, "dontblamesendmail": false,
}

// parseOptions reads the command line as sendmail does: flags may be joined to each other and to their values, and come
// before the recipients. name is the name of the program, which decides the mode: mailq, newaliases.
func parseOptions(name string, args []string) (*options, error) {
	o := &options{mode: 'm', deliver: 'b', set: map[string]string{}}
	switch name {
	case "mailq":
		o.mode = 'p'
	case "newaliases":
		o.mode = 'i'
	}
	var err error
	if o.args, err = getopt.Parse(args, getopt.Sendmail, o.flag); err != nil {
		return nil, usageError(err.Error())
	}
	return o, nil
}

func (o *options) flag(flag byte, val string) error {
	switch flag {
	case 'b':
		return o.setMode(val)
	case 'f', 'r':
		o.sender = val
	case 'F':
		o.fullName = val
	case 't':
		o.fromHeader = true
	case 'i':
		o.ignoreDots = true
	case 'v':
		o.verbose = true
	case 'B':
		o.bodyType = strings.ToUpper(val)
		if o.bodyType != "7BIT" && o.bodyType != "8BITMIME" {
			return usageError(fmt.Sprintf("Illegal body type %s", val))
		}
	case 'N':
		return o.setNotify(val)
	case 'R':
		o.ret = strings.ToUpper(val)
		if o.ret != "FULL" && o.ret != "HDRS" {
			return usageError(fmt.Sprintf("Invalid -R value %s", val))
		}
	case 'V':
		o.envID = val
	case 'C':
		o.config = val
	case 'q':
		return o.queueRun(val)
	case 'I':
		o.mode = 'i'
	case 'O':
		key, v, _ := strings.Cut(val, "=")
		return o.setOption(strings.TrimSpace(key), strings.TrimSpace(v))
	case 'o':
		long, ok := shortNames[val[0]]
		if !ok {
			return nil // an old option of no meaning here
		}
		return o.setOption(long, val[1:])
	default: // getopt knows the letters
		// Accepted for compatibility; submission and delivery are one program here.
	}
	return nil
}

// queueRun reads -q: alone for everything, or with I, R or S for messages whose id, recipient or sender has a text in it.
// An interval, which would make sendmail a daemon, asks for one run here: the server has its own -queue-interval.
func (o *options) queueRun(val string) error {
	if o.mode == 'm' {
		o.mode = 'q'
	}
	text, not := strings.CutPrefix(val, "!")
	switch {
	case val == "" || val[0] >= '0' && val[0] <= '9':
		return nil
	case text != "" && strings.IndexByte("IRS", text[0]) >= 0:
		o.patterns = append(o.patterns, queue.Pattern{Kind: text[0], Text: text[1:], Not: not})
		return nil
	}
	return usageError(fmt.Sprintf("Invalid argument for -q: %s", val))
}

func (o *options) setMode(val string) error {
	if len(val) != 1 || strings.IndexByte("msipv", val[0]) < 0 {
		return usageError(fmt.Sprintf("Invalid operation mode %s", val))
	}
	o.mode = val[0]
	return nil
}

func (o *options) setNotify(val string) error {
	for _, w := range strings.Split(val, ",") {
		switch strings.ToLower(strings.TrimSpace(w)) {
		case "never":
			o.notify |= mtakit.NotifyNever
		case "success":
			o.notify |= mtakit.NotifySuccess
		case "failure":
			o.notify |= mtakit.NotifyFailure
		case "delay":
			o.notify |= mtakit.NotifyDelay
		default:
			return usageError(fmt.Sprintf("Invalid -N argument %s", w))
		}
	}
	if o.notify&mtakit.NotifyNever != 0 && o.notify != mtakit.NotifyNever {
		return usageError("-N never does not go with other values")
	}
	return nil
}

func (o *options) setOption(name, val string) error {
	key := strings.ToLower(name)
	if i := strings.IndexByte(key, '.'); i >= 0 { // Timeout.queuereturn and the like
		key = key[:i]
	}
	if _, ok := known[key]; !ok {
		return usageError(fmt.Sprintf("Unknown option %s", name))
	}
	switch key {
	case "ignoredots":
		o.ignoreDots = isTrue(val)
	case "verbose":
		o.verbose = isTrue(val)
	case "deliverymode":
		if val == "" || strings.IndexByte("biqd", val[0]) < 0 {
			return usageError(fmt.Sprintf("Unknown delivery mode %s", val))
		}
		o.deliver = val[0]
	}
	o.set[key] = val
	return nil
}

// isTrue reads a boolean option; a bare name switches it on.
func isTrue(val string) bool { return val == "" || strings.IndexByte("TtYy1", val[0]) >= 0 }
