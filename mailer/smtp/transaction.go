package smtp

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// transaction is one MAIL, its RCPTs and one DATA.
type transaction struct {
	c      *conn
	d      *delivery
	rcpts  []int // indices into the attempt's recipients
	reused bool

	state []rcptState
	stage stage // whose reply is being waited for
	stale bool  // a reused session turned out to be over before anything happened: not the message's fault
}

// rcptState is where a recipient of the transaction stands.
type rcptState uint8

const (
	rcptOpen     rcptState = iota // no reply yet
	rcptAccepted                  // RCPT accepted
	rcptDecided                   // its Result is final
	rcptDeferred                  // its Result is a temporary failure; another server may take it
	rcptTooMany                   // 452 after others were accepted: goes into the next transaction
)

// maxBatch is how many RCPT commands are sent before their replies are read, so that client and server never wait
// for each other with full buffers (RFC 2920 section 3.1).
const maxBatch = 50

// run performs the transaction. Afterwards every recipient has a state other than open or accepted, unless stale.
func (t *transaction) run(ctx context.Context) {
	c, d := t.c, t.d
	t.state = make([]rcptState, len(t.rcpts))
	c.uses++
	if r, bad := t.unfit(); bad {
		t.settle(rcptOpen, r, rcptDecided)
		return
	}
	body, err := d.a.Open(ctx)
	if err != nil {
		t.settle(rcptOpen, mtakit.Result{Err: localError(&bodyError{err})}, rcptDecided)
		return
	}
	defer body.Close()
	c.readFor, c.writeFor = c.m.o.Timeouts.Command, c.m.o.Timeouts.Command
	proceed, err := t.envelope()
	if err != nil {
		t.broken("", err)
		return
	}
	if !proceed {
		return
	}
	c.readFor, c.writeFor = c.m.o.Timeouts.DataDone, c.m.o.Timeouts.DataBlock
	if t.count(rcptAccepted) == 0 { // pipelined DATA was taken although nobody is to have the message
		c.w.WriteString(".\r\n")
	} else if err := writeBody(c.w, body); err != nil {
		var be *bodyError
		if errors.As(err, &be) {
			c.close() // the only way not to deliver half a message
			t.settle(rcptAccepted, mtakit.Result{Err: localError(err)}, rcptDecided)
			return
		}
		t.cutOff(err)
		return
	}
	if err := c.w.Flush(); err != nil {
		t.cutOff(err)
		return
	}
	t.finish()
}

// cutOff settles the accepted recipients after the server stopped taking the message. It may have said why.
func (t *transaction) cutOff(err error) {
	t.c.dead = true
	t.c.readFor = time.Second
	if rep, rerr := t.c.readReply(0, nil); rerr == nil && rep.code/100 >= 4 {
		t.settle(rcptAccepted, t.c.result(rep, stageDot), rcptDecided)
		return
	}
	t.broken("DATA", err)
}

// unfit reports whether the message cannot be sent to this server at all.
func (t *transaction) unfit() (r mtakit.Result, bad bool) {
	c, d := t.c, t.d
	c.utf8 = false
	switch {
	case c.ext.maxSize > 0 && d.a.Size > c.ext.maxSize:
		st := mtakit.StatusTooBig
		if c.m.o.LMTP {
			st = mtakit.StatusMailboxTooBig
		}
		return mtakit.Result{Relay: c.relay, Err: &mtakit.Error{Code: 552, Status: st,
			Text: "Message is too large; " + strconv.FormatInt(c.ext.maxSize, 10) + " bytes max"}}, true
	case !d.needs.utf8Addr && !d.needs.utf8Header && !(d.a.SMTPUTF8 && c.ext.utf8):
		return r, false
	case !c.ext.utf8:
		st, text := mtakit.StatusNonASCIIAddress, "Address is not ASCII and the next host does not support SMTPUTF8"
		if !d.needs.utf8Addr {
			st, text = mtakit.StatusUTF8HeaderTransfer, "Header is not ASCII and the next host does not support SMTPUTF8"
		}
		return mtakit.Result{Relay: c.relay, Err: &mtakit.Error{Code: 553, Status: st, Text: text}}, true
	}
	c.utf8 = true
	return r, false
}

// envelope sends everything up to DATA and reads the replies: in one go when the server can, command by command
// otherwise. proceed is true when the server waits for the message.
func (t *transaction) envelope() (proceed bool, err error) {
	c, d := t.c, t.d
	if t.reused {
		c.w.WriteString("RSET\r\n")
		if err := t.sync(); err != nil {
			t.stale = true
			return false, err
		}
		if !c.ext.pipelining {
			if err := t.readRset(); err != nil {
				return false, err
			}
		}
	}
	c.writeMail(d)
	if !c.ext.pipelining {
		if err := c.w.Flush(); err != nil {
			return false, err
		}
		if err := t.readMail(); err != nil || t.count(rcptOpen) == 0 {
			return false, err
		}
		return t.lockstep()
	}
	for n := 0; n < len(t.rcpts); n += maxBatch {
		end := min(n+maxBatch, len(t.rcpts))
		for _, i := range t.rcpts[n:end] {
			c.writeRcpt(&d.a.Rcpts[i])
		}
		last := end == len(t.rcpts)
		if last {
			c.w.WriteString("DATA\r\n")
		}
		if err := c.w.Flush(); err != nil {
			t.stale = t.reused && n == 0
			return false, err
		}
		if n == 0 {
			if t.reused {
				if err := t.readRset(); err != nil {
					return false, err
				}
			}
			if err := t.readMail(); err != nil {
				return false, err
			}
		}
		for k := n; k < end; k++ {
			if err := t.readRcpt(k); err != nil {
				return false, err
			}
		}
	}
	return t.readData()
}

// sync sends what is written, unless it may wait for more.
func (t *transaction) sync() error {
	if t.c.ext.pipelining {
		return nil
	}
	return t.c.w.Flush()
}

// lockstep is the part after MAIL with a server that does not know pipelining.
func (t *transaction) lockstep() (proceed bool, err error) {
	c := t.c
	for k, i := range t.rcpts {
		c.writeRcpt(&t.d.a.Rcpts[i])
		if err := c.w.Flush(); err != nil {
			return false, err
		}
		if err := t.readRcpt(k); err != nil {
			return false, err
		}
	}
	if t.count(rcptAccepted) == 0 {
		return false, nil
	}
	c.w.WriteString("DATA\r\n")
	if err := c.w.Flush(); err != nil {
		return false, err
	}
	return t.readData()
}

// read reads one reply to a command. A 421 means that the server is about to hang up.
func (t *transaction) read(ok int) (reply, error) {
	rep, err := t.c.readReply(ok, nil)
	if err == nil && rep.code == 421 {
		t.c.dead = true
		err = &replyError{rep}
	}
	return rep, err
}

// readRset finds out whether an idle session is still alive.
func (t *transaction) readRset() error {
	rep, err := t.read(2)
	if err == nil && rep.code/100 != 2 {
		err = &replyError{rep}
	}
	t.stale = err != nil && !t.c.canceled.Load()
	return err
}

func (t *transaction) readMail() error {
	t.stage = stageMail
	rep, err := t.read(2)
	if err != nil {
		// Servers that limit the messages of a session say so now. A new one gives the message its chance.
		t.stale = t.reused && !t.c.canceled.Load()
		return err
	}
	switch rep.code / 100 {
	case 2:
	case 4:
		t.settle(rcptOpen, t.c.result(rep, stageMail), rcptDeferred)
	case 5:
		t.settle(rcptOpen, t.c.result(rep, stageMail), rcptDecided)
	default:
		return &protocolError{"code " + strconv.Itoa(rep.code) + " to MAIL"}
	}
	return nil
}

func (t *transaction) readRcpt(k int) error {
	t.stage = stageRcpt
	rep, err := t.read(2)
	if err != nil {
		return err
	}
	if t.state[k] != rcptOpen {
		return nil // MAIL was refused, and this is only its echo
	}
	i := t.rcpts[k]
	switch {
	case rep.code/100 == 2:
		t.state[k] = rcptAccepted
	case rep.code == 452 && tooMany(rep.status()) && t.count(rcptAccepted) > 0:
		t.d.results[i], t.state[k] = t.c.result(rep, stageRcpt), rcptTooMany
	case rep.code/100 == 4:
		t.d.results[i], t.state[k] = t.c.result(rep, stageRcpt), rcptDeferred
	case rep.code/100 == 5:
		t.d.results[i], t.state[k] = t.c.result(rep, stageRcpt), rcptDecided
	default:
		return &protocolError{"code " + strconv.Itoa(rep.code) + " to RCPT"}
	}
	return nil
}

// tooMany reports whether a 452 with this status may mean that the transaction has too many recipients (RFC 5321
// section 4.5.3.1.10), and not that one mailbox is full.
func tooMany(st mtakit.Status) bool {
	return st == 0 || st == mtakit.StatusTooManyRcpts.AsTemporary() || st == mtakit.StatusSystemFull
}

func (t *transaction) readData() (proceed bool, err error) {
	t.stage = stageData
	t.c.readFor = t.c.m.o.Timeouts.Data
	rep, err := t.read(3)
	if err != nil {
		return false, err
	}
	switch {
	case rep.code == 354:
		return true, nil
	case rep.code/100 == 4:
		t.settle(rcptAccepted, t.c.result(rep, stageData), rcptDeferred)
	case rep.code/100 == 5:
		t.settle(rcptAccepted, t.c.result(rep, stageData), rcptDecided)
	default:
		return false, &protocolError{"code " + strconv.Itoa(rep.code) + " to DATA"}
	}
	return false, nil
}

// finish reads the verdict after the final dot: one reply, or in LMTP one for each accepted recipient.
func (t *transaction) finish() {
	if t.count(rcptAccepted) == 0 {
		if _, err := t.read(2); err != nil {
			t.c.dead = true
		}
		return
	}
	if !t.c.m.o.LMTP {
		rep, err := t.c.readReply(0, nil)
		if err != nil {
			t.uncertain(err)
			return
		}
		t.settle(rcptAccepted, t.c.result(rep, stageDot), rcptDecided)
		t.c.dead = t.c.dead || rep.code == 421
		return
	}
	for k, st := range t.state {
		if st != rcptAccepted {
			continue
		}
		rep, err := t.c.readReply(0, nil)
		if err != nil {
			t.uncertain(err)
			return
		}
		t.d.results[t.rcpts[k]], t.state[k] = t.c.result(rep, stageDot), rcptDecided
		t.c.dead = t.c.dead || rep.code == 421
	}
}

// uncertain settles those whose message the server may have all the same (RFC 1047). They must not be sent to
// another server now.
func (t *transaction) uncertain(err error) {
	e := lostError(t.c.host, &stageError{"final dot", err})
	if strings.HasPrefix(e.Text, "Connection reset") {
		e.Text = "" // sendmail says no more than "Deferred"
	}
	r := mtakit.Result{Relay: t.c.relay, Err: e, Uncertain: true}
	t.c.dead = true
	t.settle(rcptAccepted, r, rcptDecided)
}

// broken settles everybody without a verdict after the session broke before the final dot.
func (t *transaction) broken(stage string, err error) {
	t.c.dead = true
	if t.stale {
		return
	}
	var re *replyError
	var r mtakit.Result
	if errors.As(err, &re) {
		r = t.c.result(re.reply, t.stage)
	} else {
		r = t.c.lost(stage, err)
	}
	t.d.failed(r)
	t.settle(rcptOpen, r, rcptDeferred)
	t.settle(rcptAccepted, r, rcptDeferred)
}

// settle moves everybody in one state to another, with a result.
func (t *transaction) settle(from rcptState, r mtakit.Result, to rcptState) {
	for k, st := range t.state {
		if st == from {
			t.state[k] = to
			t.d.results[t.rcpts[k]] = r
		}
	}
}

func (t *transaction) count(st rcptState) (n int) {
	for _, s := range t.state {
		if s == st {
			n++
		}
	}
	return n
}

// undecided returns who is still pending with this server: those it found too many, and rest. Those that it put off are
// added to deferred: another server may see it differently.
func (t *transaction) undecided(rest, deferred []int) (pending, _ []int) {
	pending = rest
	for k, st := range t.state {
		switch st {
		case rcptTooMany:
			pending = append(pending[:len(pending):len(pending)], t.rcpts[k])
		case rcptDeferred:
			deferred = append(deferred, t.rcpts[k])
		}
	}
	return pending, deferred
}
