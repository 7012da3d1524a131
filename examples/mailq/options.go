package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit/examples/internal/getopt"
	"github.com/mtakit/mtakit/examples/internal/sendmailcf"
	"github.com/mtakit/mtakit/queue"
)

// options reads the command line of a plain listing, which has the options of sendmail(8): those that concern listings are
// returned for queue.ParseMailqArgs, the others change nothing. Words that are no options would be ignored by sendmail; here they
// may be mistyped commands.
func (c *command) options(args []string) (listing []string, err error) {
	if i := slices.IndexFunc(args, isFilter); i >= 0 {
		return nil, fmt.Errorf("mailq: %s goes with -json, or with what changes entries: %s", args[i], strings.Join(verbs[:6], ", "))
	}
	if i := slices.Index(args, "-oQ"); i >= 0 && i+1 < len(args) { // the directory in a word of its own is an addition
		args = slices.Concat(args[:i], []string{"-oQ" + args[i+1]}, args[i+2:])
	}
	senders := 0
	words, err := getopt.Parse(args, getopt.Sendmail, func(letter byte, value string) error {
		if letter == 'f' || letter == 'r' {
			if senders++; senders > 1 {
				//lint:ignore ST1005 sendmail's words
				return &exit{exUsage, errors.New(`More than one "from" person`)}
			}
		}
		arg, err := c.option(letter, value)
		if arg != "" {
			listing = append(listing, arg)
		}
		return err
	})
	if err == nil && len(words) > 0 {
		err = fmt.Errorf("mailq: what is %q?", words[0])
	}
	return listing, err
}

// isFilter reports whether a word is an option of -json and the commands, which sendmail would take for several of one letter.
func isFilter(word string) bool {
	return slices.Contains([]string{"-id", "-sender", "-rcpt", "-domain", "-group", "-reason", "-older", "-newer", "-larger", "-smaller",
		"-attempts", "-state", "-dir", "-host"}, word)
}

// option takes one option. What it returns is an argument for queue.ParseMailqArgs.
func (c *command) option(letter byte, value string) (arg string, err error) {
	wrong := func(format string, args ...any) (string, error) {
		return "", &exit{exUsage, fmt.Errorf(format, args...)}
	}
	switch letter {
	case 'v':
		return "-v", nil
	case 'C':
		if c.config, c.given, c.named = value, true, true; value == "" {
			c.config = "sendmail.cf"
		}
	case 'A', 'G':
		switch {
		case c.named: // which counts more
		case letter == 'G' || value == "c":
			c.config, c.given = sendmailcf.Submit, true
		case value == "m":
			c.config, c.given = sendmailcf.Default, true
		}
	case 'O':
		name, value, remark, err := sendmailcf.ParseOption(value)
		if remark != "" {
			fmt.Fprintln(c.out, remark)
		}
		if err != nil {
			return "", &exit{exSoftware, err}
		}
		return c.setOption(name, value)
	case 'o':
		value += "\x00"
		switch c0 := value[0]; {
		case letters[c0] != "":
			return c.setOption(letters[c0], strings.Trim(value[1:], " \t\x00"))
		case strings.IndexByte("=-\x00", c0) >= 0:
			return "", &exit{exSoftware, fmt.Errorf("readcf: unknown option name 0x%x", c0)}
		}
	case 'q':
		return c.queueOption(value)
	case 'Q':
		return wrong("Can not use -Q with -bp")
	case 'b':
		switch {
		case strings.HasPrefix(value, "p"):
		case value != "" && strings.IndexByte("adDhHimPstv", value[0]) >= 0:
			return wrong("mailq: -b%s is for sendmail", value)
		default:
			return wrong("Invalid operation mode %s", value)
		}
	case 'B':
		if !strings.EqualFold(value, "7BIT") && !strings.EqualFold(value, "8BITMIME") {
			fmt.Fprintf(c.out, "Illegal body type %s\n", value)
		}
	case 'N':
		for word := range strings.SplitSeq(strings.ToLower(value), ",") {
			if !slices.Contains([]string{"never", "success", "failure", "delay"}, strings.TrimSpace(word)) {
				return wrong("Invalid -N argument")
			}
		}
	case 'R':
		if !strings.EqualFold(value, "full") && !strings.EqualFold(value, "hdrs") {
			return wrong("Invalid -R value")
		}
	}
	return "", nil
}

// letters are the options of one letter that concern listings.
var letters = map[byte]string{'Q': "QueueDirectory", 'q': "QueueFactor", 'x': "QueueLA"}

// queueOption takes -q. Intervals, and what else is about queue runs, say nothing about a listing.
func (c *command) queueOption(value string) (arg string, err error) {
	text := strings.TrimPrefix(value, "!")
	switch {
	case value == "G":
		//lint:ignore ST1005 sendmail's words
		return "", &exit{0, errors.New("Queue group  unknown")}
	case text == "" || text[0] == 'f' || text[0] == 'p':
		return "", nil
	case strings.IndexByte("GIRSLQ", text[0]) >= 0:
		return "-q" + value, nil
	}
	if bad := sendmailcf.BadUnits(text); bad != nil {
		return "", &exit{exUsage, errors.New(strings.Join(bad, "\n"))}
	}
	return "", nil
}

// setOption takes an option of the command line, by its full name.
func (c *command) setOption(name, value string) (arg string, err error) {
	if name == "QueueDirectory" {
		if c.dir = value; value == "" {
			c.dir = "mqueue"
		}
		return "", nil
	}
	arg, says, err := listingOption(name, value)
	if err != nil {
		return "", &exit{exSoftware, err}
	}
	for _, text := range says {
		fmt.Fprintln(c.out, text)
	}
	return arg, nil
}

// listingOption returns an option as an argument for queue.ParseMailqArgs, if it is one of those that concern listings and has a
// value of use. says is what sendmail prints about the value; with an error it does no more.
func listingOption(name, value string) (arg string, says []string, err error) {
	switch name {
	case "MinQueueAge", "MaxQueueAge":
		if says = sendmailcf.BadUnits(value); says != nil {
			return "", says, nil
		}
	case "MaxQueueRunSize", "QueueLA", "QueueFactor":
		value = strconv.Itoa(sendmailcf.Atoi(value))
	case "QueueSortOrder":
		if _, err := queue.ParseSortOrder(value); err != nil {
			text := fmt.Sprintf("Invalid queue sort order \"%s\"", value)
			return "", []string{text}, errors.New(text)
		}
	default:
		return "", nil, nil
	}
	return "-O" + name + "=" + value, nil, nil
}
